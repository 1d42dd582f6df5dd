"""Write a report as Markdown for the run's page: errors first, then pictures, tables and outputs."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from anabranch.core.parts import INNER, Report
from anabranch.run.pictures import bars, in_bytes, plainly

MOST_LINES = 200  # of each list and table; the report's JSON has them all
DRAWN = {  # figures of a report's details that become pictures
    "lines": ("Lines", plainly),
    "rows": ("Rows", plainly),
    "failed_records": ("Failed records", plainly),
    "rows_set_aside": ("Rows set aside", plainly),
    "rejected": ("Rejected records", plainly),
    "bytes_in": ("Bytes read", in_bytes),
    "bytes_out": ("Bytes written", in_bytes),
}
OF_THE_RUN = ("auto", "state", "positions", "import")  # details of the whole run, not of one of its things
TOLD = ("import",)  # of those, the ones that people read as pictures and tables, not as JSON


def summary(report: Report) -> str:
    """Return the page."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {report.flow}: {report.status.replace('_', ' ')}"
    amounts = f"{in_bytes(report.bytes_in)} read, {in_bytes(report.bytes_out)} written"
    yield f"\n{report.message} in {report.seconds:.1f} s; {amounts}.\n"
    yield from _table(("", ""), [(_words(name), number) for name, number in report.items.items() if name not in INNER])
    yield from _list("Errors", report.errors)
    yield from (f"\n![{_plain(title)}]({url})" for title, url in report.pictures.items())
    yield from _picture("Errors by kind", Counter(error.code for error in report.errors), plainly)
    yield from _list("Warnings", report.warnings)
    yield from _list("Notes", report.notes)
    yield from _details({name: figures for name, figures in report.details.items() if name not in OF_THE_RUN})
    for name in OF_THE_RUN:
        if name in report.details:
            yield from (_told if name in TOLD else _code)(name, report.details[name])
    yield from _list("Outputs", report.outputs)


def _details(details: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield pictures of the things that the run worked on, then a row of figures for each, without columns of zeros."""
    if not details:
        return
    common = os.path.commonprefix(list(details))  # noqa: RUF071  names may be URLs; the next line cuts at a slash
    folder = common[: common.rfind("/") + 1]  # shown once, to leave room for the names
    things = {name.removeprefix(folder): figures for name, figures in details.items()}
    known = dict.fromkeys(head for figures in things.values() for head in figures)
    heads = [head for head in known if head not in INNER and any(figures.get(head) for figures in things.values())]
    yield "\n## Details"
    for head, (title, shown) in DRAWN.items():
        found = {name: numbers[head] for name, numbers in things.items() if numbers.get(head)}
        yield from _picture(title, found, shown)
    yield ""
    yield from _table(
        (f"in {_plain(folder)}" if folder else "", *map(_words, heads)),
        [(name, *(figures.get(head, "") for head in heads)) for name, figures in things.items()],
    )


def _told(title: str, content: Mapping[str, Any]) -> Iterator[str]:
    """Yield a picture of the counts, then a table of the facts, then pictures and tables of what lies within."""
    yield f"\n## {title.capitalize()}"
    counts = {_words(name): count for name, count in content.items() if isinstance(count, int) and count}
    yield from _picture("Records", counts, plainly)
    yield ""
    plain = [(_words(name), value) for name, value in content.items() if not isinstance(value, list | dict)]
    yield from _table(("", ""), plain)
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _picture(_words(name).capitalize(), value, plainly)
        elif isinstance(value, list) and value:
            yield f"\n### {_words(name).capitalize()}\n"
            rows = [tuple("" if cell is None else cell for cell in row.values()) for row in value]
            yield from _table(tuple(map(_words, value[0])), rows)


def _picture(title: str, figures: Mapping[str, int], shown: Callable[[int], str]) -> Iterator[str]:
    """Draw the figures, if there are several to compare."""
    if len(figures) > 1:
        yield f"\n![{title}]({bars(f'{title}: {shown(sum(figures.values()))}', figures, shown)})"


def _code(title: str, content: Any) -> Iterator[str]:
    lines = json.dumps(content, indent=2, ensure_ascii=False).splitlines()
    yield f"\n## {title.capitalize()}\n\n```json"
    yield from lines[:MOST_LINES]
    yield "```"
    yield from _rest(lines)


def _list(title: str, lines: Sequence[Any]) -> Iterator[str]:
    if lines:
        yield f"\n## {title}\n"
        yield from (f"- {_plain(str(line))}" for line in lines[:MOST_LINES])
        yield from _rest(lines)


def _table(head: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> Iterator[str]:
    yield _row(head)
    yield "| --- |" + " ---: |" * (len(head) - 1)
    yield from (_row(row) for row in rows[:MOST_LINES])
    yield from _rest(rows)


def _row(cells: tuple[Any, ...]) -> str:
    shown = (plainly(cell) if isinstance(cell, int) else _plain(str(cell)) for cell in cells)
    return "| " + " | ".join(shown) + " |"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _rest(lines: Sequence[Any]) -> Iterator[str]:
    if len(lines) > MOST_LINES:
        yield f"\n… and {len(lines) - MOST_LINES:,} more: see the JSON artifact, the report."


def _plain(text: str) -> str:
    """Escape all characters that have a meaning in Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(text.split()))
