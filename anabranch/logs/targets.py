"""Decide where each report goes, and refuse what is not possible before anything runs."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from anabranch.core.errors import UsageError
from anabranch.core.outputs import require_folder, require_writable
from anabranch.core.words import many
from anabranch.logs.archive import archives, name_of
from anabranch.logs.modes import CHARTED
from anabranch.logs.options import LogOptions
from anabranch.sources import remote
from anabranch.sources.source import Source


def check(source: Sequence[str], output: str | None, options: LogOptions) -> list[Path]:
    """Return which files will be written; none where the one report goes to standard output.

    Raises UsageError where a source is missing, an output cannot be written, or several reports have no folder.
    """
    found, _, logs, _ = archives(source)
    if output is not None:
        read = [log for one in logs.values() for log in one]
        return list(targets(found, options.mode, output, read, charts=options.charts).values())
    if options.charts:
        raise UsageError("output-missing", "charts are files, but no output is named", "Name one with --output.")
    if len(found) * len(options.mode) > 1:
        reports = f"{many(len(found), 'archive')} in {many(len(options.mode), 'mode')} make several reports"
        raise UsageError("output-missing", f"{reports}, but no folder is named", "Name one with --output.")
    return []


def targets(
    sources: Sequence[Source], modes: Sequence[str], output: str, logs: Sequence[Source] = (), *, charts: bool = False
) -> dict[tuple[str, str], Path]:
    """Return where the report of each archive's name and mode goes; UsageError where it cannot, as onto an input.

    One report goes to `output` itself, unless that is a folder or ends in a slash. Several go into that folder, as
    NAME.MODE.txt. With `charts` each of a mode that has one is followed by its chart, under the mode `chart_of(mode)`:
    NAME.MODE.svg, or the name of the one report with .svg in place of .txt, or after any other suffix.
    """
    keys = [(name_of(source), mode) for source in sources for mode in modes]
    folder = Path(output)
    if len(keys) == 1 and not os.path.isdir(folder) and not output.endswith("/"):  # noqa: PTH112  never raises
        found = {keys[0]: folder}
    else:
        require_folder(folder, f"there are {len(keys)} reports to write")
        found = {key: folder / f"{key[0]}.{key[1]}.txt" for key in keys}
    if charts:
        found = {key: path for report in found.items() for key, path in (report, *_chart(*report))}
    require_writable(found.values(), [Path(one.path) for one in (*sources, *logs) if not remote.is_url(one.path)])
    return found


def chart_of(mode: str) -> str:
    """Name the chart of a mode's report among the targets."""
    return f"{mode}.svg"


def _chart(key: tuple[str, str], report: Path) -> Iterator[tuple[tuple[str, str], Path]]:
    """Yield where the report's chart goes, if its mode has one."""
    name, mode = key
    if mode in CHARTED:
        stem = report.name.removesuffix(".txt") or report.name
        yield (name, chart_of(mode)), report.with_name(f"{stem}.svg")
