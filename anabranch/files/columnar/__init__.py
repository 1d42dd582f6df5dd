"""Formats whose columns have types: parquet, arrow, orc, avro, excel."""
