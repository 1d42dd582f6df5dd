"""Split archives, chunks and files into parts, run them on all cores or a Dask cluster, rejoin them in order."""
