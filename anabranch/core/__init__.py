"""The contract of all rooms: parts, files, errors."""
