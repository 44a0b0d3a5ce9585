"""Stored detections and tracks, compared with the truth and with each other."""
