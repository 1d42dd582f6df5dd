"""The only room that knows the machinery of Prefect and Dask; empty, so that its light modules stay light."""
