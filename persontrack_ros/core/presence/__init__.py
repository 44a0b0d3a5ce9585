"""A page for people: who was there from when to when."""
