"""What a user may choose for a pipeline: how sources are read, which functions see their records, what is written."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, field_validator

from anabranch.core.forms import Group
from anabranch.files.options import ConvertOptions
from anabranch.files.pipeline.functions import code_of
from anabranch.formats.options import TARGETS

OnError = Literal["fail", "skip", "quarantine"]
Batch = Literal["arrow", "pandas"]
Mode = Literal["auto", "thread", "process", "inline"]

_REFERENCE = r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"


class FunctionOptions(BaseModel):
    """Which function is called for every record, and how."""

    function: Annotated[
        str,
        Field(
            pattern=_REFERENCE,
            description="Function called with each record, or with a record and a state: package.module:name. "
            "What it returns is written; None drops the record.",
        ),
    ]
    on_error: Annotated[
        OnError,
        Field(description="What to do with a record for which the function raises: fail, skip it, or set it aside."),
    ] = "fail"
    batch: Annotated[
        Batch | None,
        Field(description="Pass many records at once: a pyarrow table or a pandas frame. Default: one record."),
    ] = None
    init: Annotated[
        str | None,
        Field(
            pattern=_REFERENCE,
            description="Function called once in each process; the dictionary that it returns is the initial state.",
        ),
    ] = None
    merge: Annotated[
        str | None,
        Field(
            pattern=_REFERENCE, description="Function that combines two states into one, in the order of the records."
        ),
    ] = None
    trigger: Annotated[
        str | None,
        Field(
            pattern=_REFERENCE,
            description="Function called with the counts and the state every so many records (see trigger_on).",
        ),
    ] = None
    trigger_on: Annotated[int, Field(ge=1, description="Records between two calls of the trigger.")] = 1000
    final: Annotated[
        str | None,
        Field(pattern=_REFERENCE, description="Function called at the end with the counts and the merged state."),
    ] = None
    mode: Annotated[
        Mode,
        Field(description="Where the function runs; auto measures the first records and chooses."),
    ] = "auto"
    chunk_size: Annotated[int, Field(ge=1, description="Records of a batch, and of a table of results.")] = 1000

    @field_validator("function", "init", "merge", "trigger", "final")
    @classmethod
    def _not_main(cls, reference: str | None) -> str | None:
        if reference and reference.startswith("__main__:"):
            raise ValueError("workers cannot import __main__; put the function into a module")
        return reference


class PipelineOptions(ConvertOptions, FunctionOptions):  # fields of the last base come first, in forms and in help
    """Which function is called for every record, how the sources are read, and what is written."""

    groups = {
        "calls": Group(
            "How the function is called", "Where, and with how many records.", ("batch", "mode", "chunk_size")
        ),
        "states": Group(
            "Functions around it",
            "For a function that keeps a state from record to record, and for what is done on the way.",
            ("init", "merge", "trigger", "trigger_on", "final"),
        ),
        **ConvertOptions.groups,
    }

    to: Annotated[
        str,
        Field(
            description="Format to write: jsonl, json, parquet, csv, tsv, arrow or orc, also compressed: jsonl.gz.",
            json_schema_extra=TARGETS,
        ),
    ] = "jsonl"

    @property
    def code(self) -> str:
        """Fingerprint the modules of the functions that the results depend on."""
        return code_of([name for name in (self.function, self.init) if name])

    @property
    def stateful(self) -> bool:
        """Whether the run is about more than its outputs, so that all records must be seen."""
        return any((self.merge, self.trigger, self.final))

    def for_format(self, name: str) -> Self:  # noqa: ARG002  a function wants numbers as numbers, whatever is written
        """Return the options as they are for a source of this format: unchanged."""
        return self
