"""Images and videos: reading, converting, showing, writing."""
