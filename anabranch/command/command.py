"""Make a workload's command from its options model, and carry it out: here, as a dry run, or in its deployment."""

import glob
import inspect
import json
import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from cyclopts import Group, Parameter
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from anabranch.command.request import FLAGS, Request
from anabranch.command.stdout import readers_may_leave
from anabranch.command.workloads import WORKLOADS, Workload, load
from anabranch.core.config import RunOptions, first_fault
from anabranch.core.errors import UsageError
from anabranch.core.once import one_run
from anabranch.core.storage import shown

WORKLOAD, RUN, COMMAND = (Group(name, sort_key=i) for i, name in enumerate(("Options", "The run", "The command")))

_UNSPEAKABLE = {"Cc", "Cs"}  # control characters, and the surrogates that represent bytes that are not UTF-8

M = TypeVar("M", bound=BaseModel)


def flow_command(workload: Workload) -> Callable[..., int]:
    """Make the command of a workload: its options are the fields of the models that the flow takes."""
    model: type[BaseModel] = load(workload.options)

    def command(*source: str, output: str | list[str] | None = None, **values: Any) -> int:
        if not source:
            raise UsageError("bad-option", "SOURCE is missing", f"Example: {workload.example}")
        if workload.ends_with_output and output is None and len(source) > 1:
            source, output = source[:-1], source[-1]
        if isinstance(output, list):
            output, *further = output
            values[workload.further_outputs] = [_absolute(path) for path in further]
        flags = frozenset(name for name in FLAGS if values.get(name))
        options, run = _validated(model, values), _validated(RunOptions, values)
        run.work_dir = run.work_dir and _absolute(run.work_dir)
        places = [_absolute(path) for path in source], None if output is None else _absolute(output)
        request = Request(workload, *places, options, run, flags)
        return _carry_out(request)

    keyword = inspect.Parameter.KEYWORD_ONLY
    source = Annotated[str, Parameter(help=workload.source)]
    outputs: Any = list[str] if workload.further_outputs else str
    output = Annotated[outputs | None, Parameter(help=workload.output, group=WORKLOAD, negative="")]
    signature = inspect.Signature([  # which refuses two options of one name
        inspect.Parameter("source", inspect.Parameter.VAR_POSITIONAL, annotation=source),
        inspect.Parameter("output", keyword, default=None, annotation=output),
        *(_option(spoken(name, field), field, WORKLOAD, workload.aliases.get(name, ()))
          for name, field in model.model_fields.items() if name != workload.further_outputs),
        *(_option(spoken(name, field), field, RUN) for name, field in RunOptions.model_fields.items()),
        *(_flag(name, text, COMMAND) for name, text in FLAGS.items()),
    ])  # fmt: skip
    command.__signature__ = signature  # type: ignore[attr-defined]  # cyclopts reads it through inspect
    command.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    command.__doc__ = workload.help
    return command


def _carry_out(request: Request) -> int:
    """Detach, dry run or run: choose one; only the last imports Prefect."""
    if "detach" in request.flags:
        _require_output(request)
        if "dry_run" not in request.flags:
            return _hand_over(request)  # without checks, since the worker may see other folders than we do
    with one_run():
        return _run_here(request)


def _run_here(request: Request) -> int:
    if request.workload.prepare:
        load(request.workload.prepare)()
    writes: list[Path] = load(request.workload.check)(request.source, request.output, request.options)
    if "dry_run" in request.flags:
        from anabranch.command.dryrun import show_plan

        return show_plan(request, writes)
    from anabranch.command.adhoc import run_flow

    return run_flow(request)


def _require_output(request: Request) -> None:
    """Refuse a detached run that its worker would refuse, or whose output no user would see."""
    without = request.workload.without_output
    if request.output is None and without != "chosen":
        reason = "no output is named" if without == "refused" else "a detached run has no standard output"
        raise UsageError("output-missing", reason, "Name one with --output.")


def _hand_over(request: Request) -> int:
    from anabranch.run.handover import hand_over
    from anabranch.run.server import ensure_server, link_to

    plain = {
        name: value.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if isinstance(value, BaseModel)
        else value
        for name, value in request.parameters.items()  # named as in the form, by which the server validates them
    }
    run = hand_over(ensure_server(), request.workload.name, request.workload.name, plain)
    with readers_may_leave():
        if "json" in request.flags:
            print(json.dumps({"flow": request.workload.name, "run_id": run.id, "run_url": run.url}))
        else:
            print(f"{run.id}\n{link_to(run.url) if sys.stdout.isatty() else run.url}")
    return 0


def spoken(name: str, field: FieldInfo) -> str:
    """Return a field's name as the user types it: some names are reserved in Python."""
    return field.alias or name


def choices(field: FieldInfo) -> tuple[str, ...]:
    """Return the choices of a field that is one, or several, of a few words."""
    kind = field.annotation
    if get_origin(kind) is list:
        kind = get_args(kind)[0]
    return get_args(kind) if get_origin(kind) is Literal else ()


def shown_default(field: FieldInfo) -> str:
    """Return a field's default as a user would type it."""
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return ",".join(default) if isinstance(default, list) else str(default or "")


def _option(name: str, field: FieldInfo, group: Group, aliases: tuple[str, ...] = ()) -> inspect.Parameter:
    if field.annotation is bool:
        return _flag(name, field.description or "", group, default=field.default)
    words, default = choices(field), shown_default(field)
    text = f"{field.description} Of: {', '.join(words)}." if words else field.description
    shown = (lambda _: default) if default else False
    parameter = Parameter(help=text, group=group, alias=aliases, show_default=shown)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, parameter]
    )


def _flag(name: str, text: str, group: Group, *, default: bool = False) -> inspect.Parameter:
    """Make --name, and --no-name if the default is true."""
    negative = f"--no-{name.replace('_', '-')}" if default else ""
    parameter = Parameter(help=text, group=group, negative=negative, show_default=default)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[bool, parameter]
    )


def _validated(model: type[M], values: dict[str, Any]) -> M:
    """Fill the model's fields from the command's values; the others keep their defaults."""
    fields = {spoken(name, field): field for name, field in model.model_fields.items()}
    given = {name: values[name] for name in fields if values.get(name) is not None}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        name, reason = first_fault(error)
        option, meaning = (
            (f"--{name.replace('_', '-')}", f"{fields[name].description} ") if name else ("the options", "")
        )
        raise UsageError("bad-option", reason, f"{meaning}See --help.", option) from error


def _absolute(path: str) -> str:
    """Make a local path or pattern absolute, since a worker runs in another folder; a trailing slash is kept."""
    if not path:  # probably an unset variable of a script; it must not mean the current folder
        raise UsageError("bad-option", "a path is empty", "Name a file or a folder; . is the current folder.")
    if "://" in path:
        return path
    folder = str(Path.cwd())
    if any(unicodedata.category(letter) in _UNSPEAKABLE for letter in folder + path):
        raise UsageError(
            "bad-option",
            f"the path {shown(str(Path(folder) / path))} has bytes that are not UTF-8, or control characters",
            "Name its folder, or a pattern that matches it.",
        )
    if glob.has_magic(path) and not os.path.exists(path):  # noqa: PTH110  which raises where a folder is closed
        folder = glob.escape(folder)
    return str(Path(folder) / path) + (os.sep if path.endswith(os.sep) else "")


def __getattr__(name: str) -> Callable[..., int]:
    """Make the command of a workload, such as `parse_logs`, when it is asked for: each takes 10 ms."""
    for workload in WORKLOADS:
        if workload.command == name:
            return flow_command(workload)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
