"""Which options mean something for which formats; one that means nothing for any source or output is refused."""

from collections.abc import Collection, Container, Iterable, Mapping

from pydantic import BaseModel

from anabranch.core.errors import UsageError
from anabranch.formats.foreign.formats import FORMATS as FOREIGN
from anabranch.formats.formats import FORMATS, TEXT, UNITS
from anabranch.formats.options import DELIMITED, ReadOptions, WriteOptions

JSON = ("json", "jsonl")
_TYPED = (*UNITS, "avro")  # whose columns have types that nothing is inferred for
_BINARY = ("bson", "cbor", "msgpack")
_READ: Mapping[str, Container[str]] = {
    "format_options": ("json", *(name for name, known in FOREIGN.items() if known.options)),
    "encoding": (*TEXT, *(name for name in FOREIGN if name not in _BINARY)),
    "delimiter": DELIMITED,
    "quote": DELIMITED,
    "escape": DELIMITED,
    "comment": DELIMITED,
    "header": (*DELIMITED, "excel"),
    "skip_rows": (*DELIMITED, "excel"),
    "short_rows": DELIMITED,
    "null_values": DELIMITED,
    "infer": {*FORMATS, *FOREIGN}.difference(_TYPED),
    "paths": JSON,
    "sheet": ("excel",),
}
_OF_IMPORTS: Mapping[str, Container[str]] = {"null_values": (*DELIMITED, "excel")}
_WRITTEN: Mapping[str, Container[str]] = {
    "compression": ("parquet", "orc", "arrow"),
    "output_delimiter": DELIMITED,
}
_MEANT = {"sheet": "--sheet", "delimiter": "--delimiter", "quote": "--quote", "encoding": "--encoding"}


def require_read(options: ReadOptions, formats: Collection[str]) -> None:
    """Raise UsageError where an option means nothing for any of the sources, which have these formats."""
    takers = {**_READ, **_OF_IMPORTS} if options.keeps_records else _READ
    _require(options, takers, formats, _inside(options.format_options or ""))


def require_written(options: WriteOptions, targets: Collection[str]) -> None:
    """Raise UsageError where an option means nothing for any of the outputs, such as parquet and csv.gz."""
    _require(options, _WRITTEN, {to.partition(".")[0] for to in targets})
    if options.combine and options.pattern is not None:
        raise unused("--pattern", "one combined file, whose name is OUTPUT")


def _require(
    options: BaseModel, takers: Mapping[str, Container[str]], formats: Collection[str], remedy: str = ""
) -> None:
    for name, known in takers.items():
        if formats and _is_given(options, name) and not any(one in known for one in formats):
            given = remedy if name == "format_options" else ""
            given = given or ("Use --format json." if name == "format_options" and "jsonl" in formats else "")
            raise unused(f"--{name.replace('_', '-')}", _listed(formats), given)


def _is_given(options: BaseModel, name: str) -> bool:
    return bool(getattr(options, name) != type(options).model_fields[name].get_default(call_default_factory=True))


def _inside(format_options: str) -> str:
    """Name the option that was meant where it is one of its own."""
    meant = [flag for name, flag in _MEANT.items() if f";{name}=" in f";{format_options.replace(' ', '')}"]
    return f"Use {meant[0]}." if meant else ""


def _listed(formats: Iterable[str]) -> str:
    return ", ".join(sorted(set(formats)))


def unused(flag: str, what: str, remedy: str = "") -> UsageError:
    """Return the error for an option that means nothing for something."""
    return UsageError("option-unused", f"{flag} means nothing for {what}", remedy or "Leave it out.")
