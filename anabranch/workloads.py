"""The workloads by name, and where their flow, options and plan stand: imported only when one of them is used."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Workload:
    """One flow as the command shows it; the dotted names are `module:attribute`."""

    name: str  # of the command and, in Prefect, of the flow
    summary: str
    source: str  # help for SOURCE
    output: str  # help for --output
    flow: str
    options: str
    check: str  # (source, output, options) -> files to be written; UsageError for what can be told before anything runs
    survey: str  # (source, work_dir, threads) -> Plan of the first map: cheap, reads only
    example: str

    @property
    def command(self) -> str:
        """The attribute of anabranch.command that holds this workload's command."""
        return self.name.replace("-", "_")

    @property
    def help(self) -> str:
        """The text of `anabranch NAME --help`; a list of commands shows its first paragraph."""
        return f"{self.summary}\n\nExample: {self.example}"


def load(name: str) -> Any:
    """Import `module:attribute`."""
    module, attribute = name.split(":")
    return getattr(import_module(module), attribute)


PARSE_LOGS = Workload(
    name="parse-logs",
    summary="Parse log archives into reports, byte-identical to the one-core parser, on all cores.",
    source="Archives (tar.bz2, tar.gz, tar.xz, tar), folders of archives, or glob patterns.",
    output="File for one report, or folder for several: ARCHIVE.MODE.txt. Default: standard output.",
    flow="flows.logs:parse_logs",
    options="anabranch.logs.options:LogOptions",
    check="anabranch.logs.targets:check",
    survey="anabranch.logs.unpack:survey",
    example="anabranch parse-logs unit.tar.bz2 --mode known,bw --timezone Europe/Paris --output reports/",
)
WORKLOADS = (PARSE_LOGS,)
