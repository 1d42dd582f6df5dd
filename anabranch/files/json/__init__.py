"""JSON lines, and JSON arrays as such."""
