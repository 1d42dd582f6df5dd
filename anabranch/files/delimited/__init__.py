"""Delimited text: CSV, TSV and their like."""
