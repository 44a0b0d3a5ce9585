"""The page of --report."""
