"""A function over every record of many files, in order, on any number of workers."""
