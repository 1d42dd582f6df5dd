"""The kinds of files that are converted: what they become, and their columns. Light, as every program imports it."""

import pyarrow as pa

TARGETS = {"csv": "parquet", "csv.gz": "parquet", "flat": "parquet", "nested": "parquet", "parquet": "csv"}
ORDERS = pa.schema(
    {
        "id": pa.int64(),
        "customer": pa.string(),
        "city": pa.string(),
        "comment": pa.string(),
        "amount": pa.float64(),
        "quantity": pa.int64(),
        "paid": pa.bool_(),
        "at": pa.timestamp("us"),
    }
)
# in JSON a timestamp is text, and stays text in every program that was given this schema
FLAT = ORDERS.set(7, pa.field("at", pa.string()))
NESTED = pa.schema(
    {
        "id": pa.int64(),
        "user": pa.struct({"name": pa.string(), "city": pa.string()}),
        "tags": pa.list_(pa.string()),
        "items": pa.list_(pa.struct({"sku": pa.string(), "count": pa.int64()})),
        "amount": pa.float64(),
        "at": pa.string(),
    }
)
SCORED = FLAT.append(pa.field("score", pa.int64()))
# of what is written, by what is read
SCHEMAS = {"csv": ORDERS, "csv.gz": ORDERS, "parquet": ORDERS, "flat": FLAT, "nested": NESTED, "records": SCORED}
