"""The door for programs: the Python functions, without Prefect."""
