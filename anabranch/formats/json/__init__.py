"""JSON: lines and arrays."""
