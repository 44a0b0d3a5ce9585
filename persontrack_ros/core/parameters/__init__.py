"""The parameters: what they are called, allow and default to, and files of them."""
