"""Models: finding, downloading, compiling; detection and embedding."""
