"""What all share: errors, geometry, detections, files, time and messages."""
