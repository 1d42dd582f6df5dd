"""Whether a record holds all that its lines say: what a reader would lose is found by counting it."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from anabranch.formats.foreign.lines import Record

Check = Callable[[Any, Sequence[str], Record], bool]  # of the reader, the lines that it read, what it made of them


def one_for_each_field(_: Any, lines: Sequence[str], record: Record) -> bool:
    """Check LTSV: a label that comes twice would be lost."""
    return len(record) == lines[0].count("\t") + 1


def same_integers(*columns: int) -> Callable[[Sequence[str], Sequence[Any]], bool]:
    """Make a check that integers read from these columns of a line are written as they are written there."""

    def check(cells: Sequence[str], values: Sequence[Any]) -> bool:
        pairs = [(cells[i], values[i]) for i in columns if i < len(cells)]
        return all(cell == str(value) if value is not None else cell in (".", "") for cell, value in pairs)

    return check


_bed_integers = same_integers(1, 2, 4, 6, 7, 9)
_gff_integers = same_integers(3, 4)


def whole_bed(_: Any, lines: Sequence[str], record: Record) -> bool:
    """Check BED: Python takes integers for such that another reader would not."""
    cells, values = lines[0].split("\t"), list(record.values())
    lists = zip(cells[10:12], values[10:12], strict=True)
    return _bed_integers(cells, values) and all(c.rstrip(",") == ",".join(map(str, v)) for c, v in lists)


def whole_gff(_: Any, lines: Sequence[str], record: Record) -> bool:
    """Check GFF3 and GTF: an attribute that comes twice, or is written otherwise, would be lost."""
    cells = lines[0].split("\t")
    quoted = re.sub(r'"[^"]*"', "", cells[8])
    given = [part for part in quoted.split(";") if part.strip() not in ("", ".")]
    return _gff_integers(cells, list(record.values())) and len(record["attributes"]) == len(given)


def whole_svm(_: Any, lines: Sequence[str], record: Record) -> bool:
    """Check LIBSVM: an index that comes twice would be lost, and digits of a label beyond 2^53."""
    label: int | float = record["label"]
    exact = isinstance(label, float) or abs(label) < 1 << 53
    return exact and len(record["features"]) == len(lines[0].split()) - 1


def whole_read(_: Any, lines: Sequence[str], record: Record) -> bool:
    """Check FASTQ: four lines, a quality for each base."""
    return lines[2].startswith("+") and len(record["sequence"]) == len(record["quality"])


def whole_row(reader: Any, lines: Sequence[str], _record: Record) -> bool:
    """Check fixed width: a line reaches its last column, and not farther."""
    widths: Sequence[int] = reader.widths
    return sum(widths[:-1]) < len(lines[0]) and len(lines[0].rstrip()) <= sum(widths)


def whole_request(reader: Any, lines: Sequence[str], _record: Record) -> bool:
    """Check a web server's log: nothing may follow what was understood."""
    return bool(reader.pattern.fullmatch(lines[0].strip()))


def whole_point(_: Any, lines: Sequence[str], record: Record) -> bool:
    """Check the line protocol: a tag or field that comes twice would be lost."""
    return len(record["tags"]) + len(record["fields"]) == re.sub(r'"[^"]*"', "", lines[0]).count("=")


def whole_object(_: Any, lines: Sequence[str], record: Record) -> bool:
    """Check a JSON object: of a key that comes twice one value would be lost."""
    return bool(strict_json(lines[0].removeprefix("\x1e")) == record)


def strict_json(text: str) -> Any:
    """Parse JSON; ValueError if a key occurs twice in an object, or a number is not a JSON number."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
