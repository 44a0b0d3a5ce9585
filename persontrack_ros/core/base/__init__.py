"""Shared basics: errors, geometry, detections, files, time and messages."""
