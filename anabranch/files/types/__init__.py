"""Types of columns: their names, their least common type, and tables that fit into them."""
