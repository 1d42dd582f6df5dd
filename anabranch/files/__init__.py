"""Data files: found, looked at, cut into blocks, converted block by block, and joined again in order."""
