"""Our engine without a server: the way of an import on threads of this process.

    python -m benchmarks.tables_ours CSV POSTGRES-URL THREADS

Prints the seconds that it worked, and for how many of them the table was locked.
"""

import json
import sys
import time
from pathlib import Path


def main() -> None:
    """Import the file, and print the figures."""
    from anabranch.core.here import on_threads
    from anabranch.core.parts import Job
    from anabranch.formats.arrow import prefer_jemalloc
    from anabranch.tables.options import ImportOptions
    from anabranch.tables.secrets import open_store
    from anabranch.tables.way import way

    csv, url, threads = sys.argv[1:]
    prefer_jemalloc()
    options = ImportOptions(into=url, table="people", key=["email"], on_duplicate="skip")
    moments = {}

    def say(line: str) -> None:
        moments[line.rpartition(" ")[2]] = time.perf_counter()

    start = time.perf_counter()
    job = Job([csv], str(Path(csv).parent / "out"), options, Path(csv).parent / "work", int(threads), refresh=True)
    report = way(job, on_threads(int(threads)), lambda: open_store(url), say)
    seconds = time.perf_counter() - start
    if report.status != "completed":
        sys.exit(report.model_dump_json())
    print(json.dumps({"seconds": seconds, "locked": moments["committed"] - moments["locked"]}))


if __name__ == "__main__":
    main()
