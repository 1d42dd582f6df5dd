"""The workload import_table: files become rows of a database's table, all of them or none."""
