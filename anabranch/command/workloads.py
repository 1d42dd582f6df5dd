"""The workloads by name, and where their flow, options and plan are: imported only when one of them is used."""

import gc
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, NamedTuple

# What happens without --output: the run is refused, its only output goes to standard output (which a detached run does
# not have), or the workload chooses the place itself.
WithoutOutput = Literal["refused", "stdout", "chosen"]


class Extra(NamedTuple):
    """Another command of a workload, besides the one that runs its flow."""

    name: str  # two words: GROUP NAME
    function: str  # returns what is printed, a mapping or a sequence of mappings; its parameters are the options
    help: str


@dataclass(frozen=True, slots=True)
class Workload:
    """One flow as the command shows it; the dotted names are `module:attribute`."""

    name: str  # of the command and, in Prefect, of the flow
    summary: str
    source: str  # help for SOURCE
    output: str  # help for --output
    ends_with_output: bool  # whether OUTPUT may follow the sources
    without_output: WithoutOutput
    flow: str
    options: str
    check: str  # (source, output, options) -> files to be written; UsageError if it is sure to fail
    preview: str  # Job -> Plan that a dry run shows: cheap, reads only
    example: str
    further_outputs: str = ""  # the field of the options that takes all --output but the first; else there is one
    prepare: str = ""  # () -> None, called first of all in a process of our own
    demo: str = ""  # an anabranch.core.demo.Demo
    extras: tuple[Extra, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # other names of options
    verify: str = ""  # (outputs that are no files of ours, the flow's parameters) -> what became of each

    @property
    def command(self) -> str:
        """The attribute of anabranch.command.command that holds this workload's command."""
        return self.name.replace("-", "_")

    @property
    def help(self) -> str:
        """The text of `anabranch NAME --help`; a list of commands shows its first paragraph."""
        return f"{self.summary}\n\nExample: {self.example}"


def load(name: str) -> Any:
    """Import `module:attribute` with the garbage collector off, since what is imported stays: 5% of a small run."""
    module, attribute = name.split(":")
    gc.disable()
    try:
        return getattr(import_module(module), attribute)
    finally:
        gc.freeze()
        gc.enable()


PARSE_LOGS = Workload(
    name="parse-logs",
    summary="Parse log archives into reports, byte-identical to the one-core parser, on all cores.",
    source="Archives (tar.bz2, tar.gz, tar.xz, tar.zst, tar), folders of archives, glob patterns, or URLs.",
    output="File for one report, or folder for several: ARCHIVE.MODE.txt. Default: standard output.",
    ends_with_output=False,
    without_output="stdout",
    flow="flows.logs:parse_logs",
    options="anabranch.logs.options:LogOptions",
    check="anabranch.logs.targets:check",
    preview="anabranch.logs.preview:preview",
    example="anabranch parse-logs unit.tar.bz2 --mode known,bw --timezone Europe/Paris --output reports/",
    demo="anabranch.logs.demo:demo",
    # those of the one-core parser
    aliases={"mode": ("-p", "--parse"), "timezone": ("-t",), "begin": ("-b",), "end": ("-e",)},
)
CONVERT_FILES = Workload(
    name="convert-files",
    summary="Convert data files into another format, many files and blocks of big ones at a time.",
    source="Files, folders, glob patterns (** for folders at any depth), or URLs.",
    output="Folder for the outputs, or for one source or with --combine a file (out.csv). May also be given last.",
    ends_with_output=True,
    without_output="refused",
    flow="flows.files:convert_files",
    options="anabranch.files.options:ConvertOptions",
    check="anabranch.files.preview:check",
    preview="anabranch.files.preview:preview",
    example="anabranch convert-files 'data/**/*.csv.gz' parquet/ --to parquet",
    prepare="anabranch.formats.arrow:without_pandas",
    demo="anabranch.files.demo:demo",
)
RUN_PIPELINE = Workload(
    name="run-pipeline",
    summary="Call a function for every record of data files, in order, and write what it returns.",
    source=CONVERT_FILES.source,
    output=CONVERT_FILES.output,
    ends_with_output=True,
    without_output="refused",
    flow="flows.pipeline:run_pipeline",
    options="anabranch.files.pipeline.options:PipelineOptions",
    check="anabranch.files.pipeline.preview:check",
    preview="anabranch.files.pipeline.preview:preview",
    example="anabranch run-pipeline 'orders/*.jsonl' scored/ --function shop.scoring:score",
    demo="anabranch.files.pipeline.demo:demo",
)
UPLOAD_FILES = Workload(
    name="upload-files",
    summary="Upload big files in parallel parts, resumable after anything, every byte verified.",
    source="Files, folders, or glob patterns (** for folders at any depth).",
    output="Where to: s3://bucket/prefix/, gs://bucket/prefix/, az://container/prefix/, sftp://user@host/folder/, "
    "gdrive://FOLDER-ID or a folder. May also be given last.",
    ends_with_output=True,
    without_output="refused",
    flow="flows.uploads:upload_files",
    options="anabranch.uploads.options:UploadOptions",
    check="anabranch.uploads.preview:check",
    preview="anabranch.uploads.preview:preview",
    example="anabranch upload-files backup.tar 'media/**/*.mp4' s3://bucket/2026/ --endpoint https://s3.example.org",
    demo="anabranch.uploads.demo:demo",
    verify="tasks.uploads:verify_objects",
    extras=(
        Extra("uploads list", "anabranch.uploads.unfinished:show", "List unfinished uploads of a destination."),
        Extra("uploads abort", "anabranch.uploads.unfinished:abort", "Drop unfinished uploads of a destination."),
        Extra("limits show", "anabranch.command.limits:show", "Show how many uploads may run at once, and do."),
        Extra("limits reset", "anabranch.command.limits:reset", "Free the places of uploads that no run holds."),
    ),
)
EXTRACT_GPS = Workload(
    name="extract-gps",
    summary="Extract the positions of photos on an SFTP server or in folders, from a few kilobytes of each.",
    source="Folders, sftp://user@host:port/folder, or https://, s3:// and other URLs of folders, which end in /.",
    output="File for the positions: .csv, .geojson, .gpx, .kml, .parquet, .summary.json, .html or geo.txt. May be "
    "given several times. Default: CSV on standard output.",
    ends_with_output=False,
    without_output="stdout",
    flow="flows.photos:extract_gps",
    options="anabranch.photos.options:PhotoOptions",
    check="anabranch.photos.plan:check",
    preview="anabranch.photos.way:preview",
    example="anabranch extract-gps sftp://me@host/homes --output photos.csv",
    further_outputs="further_outputs",
    demo="anabranch.photos.demo:demo",
)
IMPORT_TABLE = Workload(
    name="import-table",
    summary="Import data files into a table of PostgreSQL or SQLite: every record accounted for, all or none.",
    source=CONVERT_FILES.source,
    output="Folder for the reports of rejects and duplicates. Default: next to each source.",
    ends_with_output=False,
    without_output="chosen",
    flow="flows.tables:import_table",
    options="anabranch.tables.options:ImportOptions",
    check="anabranch.tables.preview:check",
    preview="anabranch.tables.preview:preview",
    example="anabranch import-table people.csv --into sqlite:///crm.db --table people --key email --on-duplicate skip",
    prepare="anabranch.formats.arrow:without_pandas",
    demo="anabranch.tables.demo:demo",
    verify="tasks.tables:verify_tables",
    extras=(
        Extra("imports list", "anabranch.tables.imports:list_all", "List the imports into a database's tables."),
        Extra("imports show", "anabranch.tables.imports:show", "Show one import: its files and counts."),
    ),
)
WORKLOADS = (PARSE_LOGS, CONVERT_FILES, RUN_PIPELINE, UPLOAD_FILES, EXTRACT_GPS, IMPORT_TABLE)
