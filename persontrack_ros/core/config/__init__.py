"""Parameters: names, types, defaults, and the files that set them."""
