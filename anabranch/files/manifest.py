"""The record beside the outputs: what each was made of; a later run skips those that are unchanged."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from anabranch.core.forms import FLAT
from anabranch.core.outputs import RECORD
from anabranch.core.parts import ErrorLine, WorkFile, Written
from anabranch.core.storage import fingerprint, published, unchanged
from anabranch.files.options import ConvertOptions
from anabranch.sources import remote
from anabranch.sources.source import Source


class SourceEntry(BaseModel):
    """One source of an output, and how it was read."""

    path: str
    size: int
    format: str
    codec: str
    encoding: str
    dialect: dict[str, Any] | None
    rows: int
    bad_rows: int


class Entry(BaseModel):
    """One output: `key` names all that it depends on, `size` and `modified_ns` show whether it is unchanged."""

    key: str
    output: str
    size: int
    modified_ns: int
    rows: int
    columns: list[dict[str, Any]]
    quarantine: str | None
    written: list[Written] = []  # the output, and what was set aside; of older versions nothing is known
    sources: list[SourceEntry]

    @property
    def stands(self) -> bool:
        """Whether the output, and what was set aside, is there as it was left."""
        return unchanged(WorkFile(self.output, self.size, self.modified_ns)) and (
            self.quarantine is None or Path(self.quarantine).exists()
        )


class Record(BaseModel):
    """What the last run into a folder did, and which outputs of earlier ones are still valid.

    `unfinished` are outputs that a run began to write and did not record: it is at it, or it was killed.
    """

    anabranch: str = version("anabranch")
    options: dict[str, Any] = {}
    outputs: list[Entry] = []
    earlier: list[Entry] = []
    unfinished: list[str] = []
    errors: list[ErrorLine] = []

    @property
    def standing(self) -> list[Entry]:
        """Outputs that are there as they were left."""
        return [entry for entry in (*self.outputs, *self.earlier) if entry.stands]


def record_path(options: ConvertOptions, output: str) -> Path:
    """Name the record of a folder of outputs, or of a combined one."""
    return Path(f"{output}.{RECORD}") if options.combine else Path(output) / RECORD


def read_record(path: Path) -> Record:
    """Read the record of an earlier run; an empty one where there is none that we wrote."""
    with suppress(OSError, ValueError):
        return Record.model_validate(json.loads(path.read_bytes()))
    return Record()


def left_by_runs(output: str | None) -> set[Path]:
    """Name the files and folders that runs into `output` make, or made: no later run takes them for its sources."""
    if not output or remote.is_url(output):
        return set()
    place = Path(remote.without_scheme(output)).resolve()
    record = read_record(place / RECORD)
    return {place, *map(Path, record.unfinished), *(Path(entry.output) for entry in record.standing)}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other run publishes beside this record, and keep them waiting until the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system has locks; two runs at once may then make a third do more
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def begin_record(path: Path, outputs: Iterable[str]) -> None:
    """Note which outputs will be replaced, so that a killed run leaves no record of missing outputs."""
    before, named = read_record(path), set(outputs)
    earlier = [entry for entry in before.standing if entry.output not in named]
    unfinished = sorted(named.union(before.unfinished))
    _publish(path, before.model_copy(update={"outputs": [], "earlier": earlier, "unfinished": unfinished}))


def write_record(path: Path, options: ConvertOptions, outputs: Sequence[Entry], errors: Sequence[ErrorLine]) -> None:
    """Publish the record of a run; still valid outputs of earlier runs are kept in it."""
    before, named = read_record(path), {entry.output for entry in outputs}
    record = Record(
        options=options.model_dump(mode="json", context=FLAT),
        outputs=list(outputs),
        earlier=[entry for entry in before.standing if entry.output not in named],
        unfinished=[output for output in before.unfinished if output not in named and Path(output).exists()],
        errors=list(errors),
    )
    _publish(path, record)


def _publish(path: Path, record: Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record.model_dump(mode="json"), indent=1, ensure_ascii=False)
    with published(path) as file:  # what represents a name's bytes that are not UTF-8 is escaped, as JSON does it
        file.write(text.encode(errors="backslashreplace") + b"\n")


def output_key(code: str, sources: Iterable[Source], options: ConvertOptions) -> str:
    """Name all that an output depends on, before anything of the sources is read."""
    schema = Path(options.schema_file).read_bytes() if options.schema_file else b""
    return fingerprint(
        "output", code, options.code, [(source.stamp, source.parent) for source in sources], options, schema
    )
