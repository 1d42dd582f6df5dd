"""What the user named: found, opened, decompressed."""
