"""Formats that Python libraries read, record by record."""
