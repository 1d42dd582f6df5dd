"""The commands of a workload besides that of its flow, such as lists of its history: they print what they find.

Their functions are in the columns and return what is to be printed; a function's parameters are the command's options.
"""

import inspect
import json as json_format
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from anabranch.command.request import FLAGS
from anabranch.command.stdout import readers_may_leave
from anabranch.command.workloads import load
from anabranch.core.storage import shown

Row = Mapping[str, Any]
Found = Row | Sequence[Row]


def printing(function: Callable[..., Found]) -> Callable[..., int]:
    """Make the command of a function: its parameters become options, besides --json and --debug."""

    def command(*arguments: Any, json: bool = False, debug: bool = False, **values: Any) -> int:  # noqa: ARG001
        found = function(*arguments, **values)
        with readers_may_leave():
            print(json_format.dumps(found, default=str, indent=2) if json else as_text(found))
        return 0

    signature = inspect.signature(function, eval_str=True)
    flags = [_flag("json", "Print JSON."), _flag("debug", FLAGS["debug"])]
    parameters = [*signature.parameters.values(), *flags]
    command.__signature__ = signature.replace(parameters=parameters, return_annotation=int)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__doc__ = function.__doc__
    return command


def as_text(found: Found) -> str:
    """Return a mapping as lines of name and value, and a sequence of mappings as a table with a header."""
    if isinstance(found, Mapping):
        return _aligned([[name, _cell(value)] for name, value in found.items()])
    names = list(dict.fromkeys(name for row in found for name in row))
    return _aligned([names, *([_cell(row.get(name)) for name in names] for row in found)]) if names else "none"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = json_format.dumps(value, default=str) if isinstance(value, bool | list | tuple | dict) else str(value)
    return shown(text)


def _flag(name: str, text: str) -> inspect.Parameter:
    annotation = Annotated[bool, Parameter(help=text, negative="")]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)


def __getattr__(name: str) -> Callable[..., int]:
    """Make the command of the function with this dotted name, `module.function`, when it is first used."""
    module, _, function = name.rpartition(".")
    if not module:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return printing(load(f"{module}:{function}"))
