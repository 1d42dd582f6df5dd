"""Which archives are done: their reports are as a run left them, which read the same bytes with the same options."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from anabranch.core.parts import Job, Report, WorkFile
from anabranch.core.storage import fingerprint, published, touch, unchanged, work_file
from anabranch.logs.archive import name_of
from anabranch.logs.options import LogOptions
from anabranch.logs.plan import LogPlan
from anabranch.logs.targets import targets
from anabranch.logs.unpack import code_key
from anabranch.sources.source import Source


class Done:
    """The archives that are done of a job whose options ask for new ones only; of other jobs it knows none."""

    def __init__(self, job: Job[LogOptions]) -> None:
        self._asked = job.options.new_only and bool(job.output)
        self._finds = self._asked and not job.refresh
        self._output = job.output or ""
        self._facts = (code_key(), job.options, Path(self._output).absolute())
        self._folder = job.work_dir / "logs" / "done"

    def has(self, archive: Source, logs: Sequence[Source]) -> bool:
        """Whether an archive, or a folder with these logs, is done."""
        if not self._finds:
            return False
        note = self._note(archive, logs)
        with suppress(OSError, ValueError, TypeError):
            reports = [WorkFile(*facts) for facts in json.loads(note.read_bytes())]
            touch(note, self._folder)  # what no run uses for a week is removed
            return bool(reports) and all(map(unchanged, reports))
        return False

    def add(self, plan: LogPlan, report: Report) -> None:
        """Note the archives of which each report was written, and which were read to their ends."""
        if not self._asked:
            return
        logs = [log for source in plan.sources for log in source.archive.logs]
        sources = [source.archive.source for source in plan.sources]
        paths = targets(sources, plan.modes, self._output, logs, charts=plan.charts)
        written = {one.path for one in report.written}
        for source in plan.sources:
            name = name_of(source.archive.source)
            own = [path.absolute() for (other, _), path in paths.items() if other == name]
            if not source.error and all(paths[name, mode].absolute() in written for mode in plan.modes):
                facts = [astuple(work_file(path)) for path in own if path in written]  # not each report has a chart
                self._folder.mkdir(parents=True, exist_ok=True)
                with published(self._note(source.archive.source, source.archive.logs), durable=False) as file:
                    file.write(json.dumps(facts).encode())

    def _note(self, source: Source, logs: Sequence[Source]) -> Path:
        return self._folder / f"{fingerprint(*self._facts, source, tuple(logs))}.json"
