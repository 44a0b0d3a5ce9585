"""Reading and writing files that may be damaged, hostile, half written or elsewhere."""
