"""Further formats, which are read, never written."""
