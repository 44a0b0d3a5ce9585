"""How persons look: embeddings, and whether two are of the same person."""
