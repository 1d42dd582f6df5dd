"""Leave a run's report as JSON beside its outputs, for programs that know where those are and not the server."""

from pathlib import Path

from anabranch.core.errors import AnabranchError
from anabranch.core.parts import Report
from anabranch.core.storage import published

REPORT = ".report.json"


def report_path(flow: str, output: str | None, outputs: list[str]) -> Path | None:
    """Return where the report of a run lies; None where its outputs are not files of this machine.

    Its name is hidden, so that no run takes it for one of its sources. A folder has one for each flow, that of the
    newest run; an output that is a file has one of its own.
    """
    place = output or next(iter(outputs), "")
    if "://" in place:
        return None
    path = Path(place).absolute()
    if not output:
        return path.parent / f".{flow}{REPORT}" if path.is_file() else None
    folder, name = (path, flow) if path.is_dir() else (path.parent, path.name)
    return folder / f".{name}{REPORT}" if folder.is_dir() else None


def leave_report(report: Report, output: str | None, work_dir: Path) -> str:
    """Write the report, and return where it lies: "" for one that has no place, or a place that takes no files.

    A run that did nothing leaves the report of the one before it.
    """
    path = None if report.status == "nothing_to_do" else report_path(report.flow, output, report.outputs)
    if path is None or path.is_relative_to(work_dir):
        return ""
    try:
        with published(path, durable=False) as file:
            file.write(report.model_dump_json(indent=2).encode(errors="backslashreplace") + b"\n")
    except (OSError, AnabranchError) as error:
        report.warnings.append(f"the report could not be written beside the outputs: {error}")
        return ""
    return str(path)
