"""Models: which there are, where their files come from, and running them with OpenVINO."""
