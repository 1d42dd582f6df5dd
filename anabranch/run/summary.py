"""Write a report as Markdown for the run's page: the result first, then errors and what to do next, then figures."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from anabranch.core.parts import INNER, ErrorLine, Report
from anabranch.core.shipped import error_pages
from anabranch.run.pictures import bars, in_bytes, plainly

MOST_LINES = 200  # of each list and table; the report's JSON has them all
FIRST_OUTPUTS = 10  # that stand at the top; the others follow at the end, so that errors stay in sight
DRAWN = {  # figures of a report's details that become pictures
    "lines": ("Lines", plainly),
    "rows": ("Rows", plainly),
    "photos": ("Photos", plainly),
    "failed_records": ("Failed records", plainly),
    "rows_set_aside": ("Rows set aside", plainly),
    "rejected": ("Rejected records", plainly),
    "bytes_in": ("Bytes read", in_bytes),
    "bytes_out": ("Bytes written", in_bytes),
    "bytes_sent": ("Bytes sent", in_bytes),
}
OF_THE_RUN = ("auto", "state", "positions", "import")  # details of the whole run, not of one of its things
TOLD = ("import",)  # of those, the ones that people read as pictures and tables, not as JSON
_LINK, _CODE = re.compile(r"\[([^]]+)\]\([^)]+\)"), re.compile(r"`([^`]+)`")


def summary(report: Report, file: str = "") -> str:
    """Return the page; `file` is where the whole report lies as JSON, if anywhere."""
    return "\n".join(_lines(report, file)) + "\n"


def _lines(report: Report, file: str) -> Iterator[str]:
    yield f"# {report.flow}: {report.status.replace('_', ' ')}"
    amounts = f"{in_bytes(report.bytes_in)} read, {in_bytes(report.bytes_out)} written"
    yield f"\n{_plain(report.message)} in {report.seconds:.1f} s; {amounts}.\n"
    yield from (f"- {_plain(note)}" for note in report.notes[:MOST_LINES])
    yield from _list("Outputs", report.outputs[:FIRST_OUTPUTS])
    if more := report.outputs[FIRST_OUTPUTS:]:
        yield f"\n… and {len(more):,} more, at the end of this page."
    yield from _errors(report.errors)
    yield from _list("Warnings", report.warnings)
    yield from _next(report, file)
    yield from _figures(report)
    yield from _list("Further outputs", more)


def _errors(errors: Sequence[ErrorLine]) -> Iterator[str]:
    """Yield the errors, each with its code as a link to what the code means, which stands below them."""
    if not errors:
        return
    shown = errors[:MOST_LINES]
    yield "\n## Errors\n"
    for error in shown:
        yield f"- {_plain(str(error).removesuffix(f'[{error.code}]'))} [{error.code}](#{_anchor(error.code)})"
    yield from _rest(errors)
    for code in dict.fromkeys(error.code for error in shown):
        yield f"\n{_explained(code)}"
    if len(errors) > 1:
        yield from _picture("Errors by kind", Counter(error.code for error in errors), plainly)


def _anchor(code: str) -> str:
    return f"error-{code}"


def _explained(code: str) -> str:
    """Return what the code means as one line of HTML, folded until its link is followed.

    Within HTML the page shows Markdown as it is written, so code becomes HTML, and links to other pages become words.
    """
    text = escape(" ".join(error_pages().get(code, "This version knows nothing more of it.").split()), quote=False)
    text = _CODE.sub(r"<code>\1</code>", _LINK.sub(r"\1", text))
    return f'<details><summary>What {code} means</summary><p id="{_anchor(code)}">{text}</p></details>'


def _next(report: Report, file: str) -> Iterator[str]:
    """Yield the commands that a user may want next."""
    if not report.run_id:
        return
    yield "\n## Next\n"
    if report.errors:
        yield f"- `anabranch runs retry {report.run_id}`: once the causes are mended, do again only what failed"
    if report.written:
        yield f"- `anabranch verify {report.run_id}`: compare the outputs with their checksums"
    yield f"- `anabranch runs show {report.run_id}`: see this report in a terminal; `--json` is for programs"
    if file:
        yield f"- {_plain(file)} has the whole report as JSON"


def _figures(report: Report) -> Iterator[str]:
    yield "\n## Figures\n"
    told = {_words(name): number for name, number in report.items.items() if number and name not in INNER}
    yield from _table(("", ""), list(told.items()))
    yield from (f"\n![{_plain(title)}]({url})" for title, url in report.pictures.items())
    yield from _details(report)
    for name in OF_THE_RUN:
        if name in report.details:
            yield from (_told if name in TOLD else _code)(name, report.details[name])


def _details(report: Report) -> Iterator[str]:
    """Yield pictures of the things that the run worked on, then a row of figures for each, without columns of zeros."""
    found = {name: figures for name, figures in report.details.items() if name not in OF_THE_RUN}
    if not found:
        return
    common = os.path.commonprefix(list(found))  # noqa: RUF071  names may be URLs; the next line cuts at a slash
    folder = common[: common.rfind("/") + 1]  # shown once, to leave room for the names
    things = {name.removeprefix(folder): figures for name, figures in _with_state(report, found).items()}
    known = dict.fromkeys(head for figures in things.values() for head in figures)
    heads = [head for head in known if head not in INNER and any(figures.get(head) for figures in things.values())]
    yield "\n## Details"
    yield from _alone(*next(iter(things.items()))) if len(things) == 1 else _compared(things)
    yield ""
    yield from _table(
        (f"in {_plain(folder)}" if folder else "", *map(_words, heads)),
        [(name, *(figures.get(head, "") for head in heads)) for name, figures in things.items()],
    )


def _with_state(report: Report, things: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Say of each thing whether it failed, also of those of which there are no figures, if any did."""
    failed = dict.fromkeys(error.item or error.part for error in report.errors)
    if not failed:
        return things
    stated = {name: {"state": "failed" if name in failed else "done", **figures} for name, figures in things.items()}
    return stated | {name: {"state": "failed"} for name in failed if name and name not in things}


def _compared(things: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a picture of each figure, with a bar for each thing."""
    for head, (title, shown) in DRAWN.items():
        found = {name: numbers[head] for name, numbers in things.items() if numbers.get(head)}
        yield from _picture(title, found, shown)


def _alone(name: str, figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield pictures of one thing alone, whose figures are compared with each other: counts, and bytes."""
    numbers = {head: number for head, number in figures.items() if isinstance(number, int) and head not in INNER}
    sizes = {_words(head): number for head, number in numbers.items() if number and head.startswith("bytes")}
    counts = {_words(head): number for head, number in numbers.items() if number and not head.startswith("bytes")}
    yield from _drawn("Counts", f"Counts of {name}", counts, plainly)
    yield from _drawn("Bytes", f"Bytes of {name}", sizes, in_bytes)


def _told(title: str, content: Mapping[str, Any]) -> Iterator[str]:
    """Yield a picture of the counts, then a table of the facts, then pictures and tables of what lies within."""
    yield f"\n## {title.capitalize()}"
    counts = {_words(name): count for name, count in content.items() if isinstance(count, int) and count}
    yield from _drawn("Records", "Records", counts, plainly)  # which overlap, and have no sum
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
    """Draw figures that have a sum, if there are any."""
    yield from _drawn(title, f"{title}: {shown(sum(figures.values()))}", figures, shown)


def _drawn(title: str, heading: str, figures: Mapping[str, int], shown: Callable[[int], str]) -> Iterator[str]:
    if figures:
        yield f"\n![{title}]({bars(heading, figures, shown)})"


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
        yield f"\n… and {len(lines) - MOST_LINES:,} more: `anabranch runs show --json` lists them all."


def _plain(text: str) -> str:
    """Escape all characters that have a meaning in Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(text.split()))
