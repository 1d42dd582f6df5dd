"""Types of columns, and values that become them exactly."""
