"""Persons in one image: the detector, what it finds, and where it need not look."""
