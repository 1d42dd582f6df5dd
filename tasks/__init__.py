"""The mapped steps: what is retried, cached, named and timed out; one file for each workload."""
