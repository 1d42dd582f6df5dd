"""What people use now to bring a CSV file into a table: each in a process, and some in an environment, of its own.

    python benchmarks/tables_others.py WAY CSV POSTGRES-URL [CHUNKS]

The way prints the seconds that it worked, imports left out. Only the library of the way is imported.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CHUNK = 10_000
THREADS = 4


def bare(csv: str, url: str, _: int) -> float:
    """COPY the same bytes into a bare table: no check of anything, the least that any way can take."""
    import psycopg

    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare (LIKE people)")
        connection.commit()
        start = time.perf_counter()
        with cursor.copy("COPY bare FROM STDIN (FORMAT CSV, HEADER)") as copy, Path(csv).open("rb") as file:
            while data := file.read(1 << 20):
                copy.write(data)
        connection.commit()
        return time.perf_counter() - start


def pandas_merge(csv: str, url: str, chunks: int) -> float:
    """Read the table's keys, merge chunks of 10,000 with them on four threads, insert by `to_sql(method="multi")`.

    `chunks` of them are checked and inserted, and that time is scaled to all.
    """
    import pandas as pd
    import sqlalchemy

    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg2:"))
    start = time.perf_counter()
    frame = pd.read_csv(csv, dtype={"email": str}, parse_dates=["day"])
    with engine.connect() as connection:
        existing = pd.read_sql(sqlalchemy.text("SELECT email FROM people"), connection).drop_duplicates()
    once = time.perf_counter() - start
    parts = [frame[begin : begin + CHUNK] for begin in range(0, len(frame), CHUNK)]
    taken = parts[:: max(1, len(parts) // chunks)][:chunks] if chunks else parts

    def fresh(part: "pd.DataFrame") -> "pd.DataFrame":
        merged = part.merge(existing, on="email", how="left", indicator=True)
        return merged[merged["_merge"] == "left_only"].drop(columns="_merge")

    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        checked = list(pool.map(fresh, taken))
    for part in checked:
        part.to_sql("people", engine, if_exists="append", index=False, method="multi")
    return once + (time.perf_counter() - start) * len(parts) / len(taken)


def dlt_merge(csv: str, url: str, _: int) -> float:
    """Let dlt merge an Arrow table by its key: its delete-insert, which keeps the last of a key."""
    import dlt
    import pyarrow.csv

    kinds = pyarrow.csv.ConvertOptions(column_types={"amount": pyarrow.decimal128(12, 2)})
    start = time.perf_counter()
    table = pyarrow.csv.read_csv(csv, convert_options=kinds)
    pipeline = dlt.pipeline(
        f"bench{time.time_ns()}", dataset_name="public", progress=None, pipelines_dir=str(Path(csv).parent / "dlt"),
        destination=dlt.destinations.postgres(url.replace("postgres@", "postgres:none@")),  # it wants a password
    )  # fmt: skip
    pipeline.run(table, table_name="people", write_disposition="merge", primary_key="email")
    return time.perf_counter() - start


def duckdb_insert(csv: str, url: str, _: int) -> float:
    """Let DuckDB's postgres extension read the keys, leave out what is there or repeated, and insert the rest."""
    import duckdb
    import duckdb_extension_postgres_scanner

    folder = Path(next(iter(duckdb_extension_postgres_scanner.__path__)))
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute(f"LOAD '{next(folder.rglob('*.duckdb_extension'))}'")
    start = time.perf_counter()
    connection.execute(f"ATTACH '{url}' AS pg (TYPE postgres)")
    connection.execute(
        f"""INSERT INTO pg.people SELECT * EXCLUDE (n) FROM (
            SELECT *, row_number() OVER (PARTITION BY email ORDER BY id) AS n FROM read_csv('{csv}', header = true)
        ) s WHERE n = 1 AND NOT EXISTS (SELECT 1 FROM pg.people t WHERE t.email = s.email)"""
    )
    return time.perf_counter() - start


WAYS: dict[str, Callable[[str, str, int], float]] = {
    "bare": bare, "pandas": pandas_merge, "dlt": dlt_merge, "duckdb": duckdb_insert,
}  # fmt: skip

if __name__ == "__main__":
    way, csv, url, *rest = sys.argv[1:]
    print(json.dumps({"seconds": WAYS[way](csv, url, int(rest[0]) if rest else 0)}))
