"""The demo of parse-logs: a sample archive, parsed in every mode."""

from pathlib import Path
from typing import get_args

from anabranch.core.demo import Run, Say, Show, Steps
from anabranch.logs.options import Mode
from anabranch.logs.sample import write_sample

MEGABYTES = 30


def demo(folder: Path) -> Steps:
    """Write a sample archive unless it is there, parse it in all modes, and show the end of a report."""
    archive = folder / "unit.tar.bz2"
    if not archive.exists():
        yield Say(f"writing a sample archive with {MEGABYTES} MB of log text: {archive}")
        aside = archive.with_name(f".part.{archive.name}")  # renamed when whole; the suffix chooses the compression
        write_sample(aside, megabytes=MEGABYTES)
        aside.rename(archive)
    modes = ",".join(get_args(Mode))
    yield Run(("parse-logs", str(archive), "--mode", modes, "--output", f"{folder}/", "--charts"))
    report = folder / f"{archive.name}.sessions.txt"
    yield Show("\n".join([f"--- the end of {report}:", *report.read_text().splitlines()[-5:]]))
