"""Data files of every format: look at them, read them chunk by chunk, write them."""
