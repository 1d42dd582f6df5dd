"""What a command requests: a flow with its parameters, and the command's own flags."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from anabranch.command.workloads import Workload
from anabranch.core.argument_files import shortened
from anabranch.core.config import RunOptions, work_dir

FLAGS = {
    "dry_run": "Print the plan and exit; nothing is written, and no server is needed.",
    "detach": "Hand the run to its deployment (see `anabranch up`), print its id and page, and exit.",
    "json": "Print the report as one JSON object.",
    "quiet": "Print errors only.",
    "error_on_empty": "Exit with code 4 if there was nothing to do.",
    "debug": "Show the traceback of an error.",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A flow with all its parameters, validated, and the command's own flags."""

    workload: Workload
    source: list[str]
    output: str | None
    options: BaseModel
    run: RunOptions
    flags: frozenset[str]

    @property
    def parameters(self) -> dict[str, Any]:
        """The flow's parameters; a long list of sources is in a file in the work folder."""
        source = shortened(self.source, work_dir(self.run))
        return {"source": source, "output": self.output, "options": self.options, "run": self.run}
