"""A function over every record of a JSON lines file, without us: in a plain loop, or through iterabledata.

    python -m benchmarks.files_pipeline loop --few few.jsonl --output scored orders.jsonl

Prints the seconds that it took, imports and the start of the interpreter left out: it does a small file before.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

TURNS = 205  # of the loop in `score`: about 20 microseconds
Record = dict[str, Any]


def score(record: Record) -> Record:
    """Add a number that takes some Python to find, as a user's own rule or model would."""
    value = record["id"]
    for _ in range(TURNS):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF
    return {**record, "score": value}


def main() -> None:
    """Score every record of a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--few", type=Path, required=True, help="a small file, to be done before the clock starts")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("source", type=Path)
    arguments = parser.parse_args()
    convert = WAYS[arguments.way]()
    convert(arguments.few, arguments.output.parent / "few.jsonl")
    start = time.perf_counter()
    convert(arguments.source, arguments.output / "orders.jsonl")
    print(time.perf_counter() - start)


def _loop() -> Callable[[Path, Path], object]:
    def scored(source: Path, target: Path) -> None:
        with source.open("rb") as lines, target.open("wb") as out:
            for line in lines:
                out.write(orjson.dumps(score(orjson.loads(line))) + b"\n")

    return scored


def _iterabledata() -> Callable[[Path, Path], object]:
    from iterable.helpers.detect import open_iterable
    from iterable.pipeline import pipeline

    def scored(source: Path, target: Path) -> None:
        with open_iterable(str(source)) as records, open_iterable(str(target), mode="w") as out:
            pipeline(records, out, lambda record, _: score(record))

    return scored


WAYS: Mapping[str, Callable[[], Callable[[Path, Path], object]]] = {"loop": _loop, "iterabledata": _iterabledata}

if __name__ == "__main__":
    main()
