"""Compressed files: opened, cut, written."""
