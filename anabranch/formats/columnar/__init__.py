"""Formats that keep columns and their types: Parquet, Arrow, ORC, Avro, Excel."""
