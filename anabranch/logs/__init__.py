"""Parse the logs of field units: an archive of rotated logs in, one report for each mode out."""
