"""Where images come from and where they go: files, folders, cameras, streams, windows."""
