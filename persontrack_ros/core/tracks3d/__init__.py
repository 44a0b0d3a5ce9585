"""3D positions of tracks, their motion, and the target to follow."""
