"""Persons in space: depth, frames that stand still, motion, and whom to follow."""
