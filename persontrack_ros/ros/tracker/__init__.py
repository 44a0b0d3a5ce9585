"""What the node ``person_tracker`` is made of."""
