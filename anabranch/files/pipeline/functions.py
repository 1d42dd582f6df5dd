"""The functions that users name or hand over: import them, ask what they take, and whether other processes get them."""

import inspect
import multiprocessing
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import cloudpickle

from anabranch.core.errors import UsageError
from anabranch.core.storage import fingerprint

Function = Callable[..., Any]
_DAEMON = "this process is a daemon, which cannot start others"
_LATER = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


def load_function(reference: str) -> Function:
    """Import `package.module:name`, also from the current folder; UsageError where that gives nothing to call."""
    module, _, name = reference.partition(":")
    found: Any = _module(module, reference)
    for word in name.split("."):
        try:
            found = getattr(found, word)
        except AttributeError:
            raise UsageError(
                "function-missing", f"{module} has no {name}", "Check the name: package.module:function.", reference
            ) from None
    if not callable(found):
        raise UsageError("function-missing", f"{reference} cannot be called", "Name a function.", reference)
    return found  # type: ignore[no-any-return]


def require_usable(function: Function) -> None:
    """Raise UsageError for what gives no result when it is called with a record, or with a record and a state."""
    name = getattr(function, "__qualname__", repr(function))
    called = getattr(function, "__call__", None)  # noqa: B004  of an object
    if called is None:
        raise UsageError("function-missing", f"{name} cannot be called", "Name a function.")
    if any(kind(one) for kind in _LATER for one in (function, called)):
        raise UsageError(
            "function-missing", f"{name} is async or a generator, so a call gives no record", "Return the record."
        )
    with suppress(ValueError):  # of C
        try:
            inspect.signature(function).bind(*range(2 if takes_state(function) else 1))
        except TypeError as error:
            remedy = "Write a function of a record, or of a record and a state."
            raise UsageError("function-missing", f"{name} cannot be called with a record: {error}", remedy) from error


def code_of(references: Iterable[str]) -> str:
    """Fingerprint the source of the modules that the references name, but not of what these import."""
    return fingerprint(*[(reference, _source(load_function(reference))) for reference in references])


def takes_state(function: Function) -> bool:
    """Whether a function wants a state after the record: a second parameter that is required, or has that name."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # of C
        return False
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 and (positional[1].default is inspect.Parameter.empty or positional[1].name == "state")


def reference_to(function: Function) -> str | None:
    """Name a function as `package.module:name`, where other processes find it by that."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not name or module in ("__main__", "builtins") or "<" in name:
        return None
    try:
        return f"{module}:{name}" if load_function(f"{module}:{name}") is function else None
    except UsageError:
        return None


def why_here(functions: Iterable[Function | None]) -> str:
    """Return why these functions should be called in this process; an empty text if others find them by their names.

    A script without `if __name__ == "__main__":` ends the processes that it starts, so that what only it defines goes
    to others only if the user says so; see `why_not_sent`.
    """
    if multiprocessing.current_process().daemon:
        return _DAEMON
    for function in functions:
        if function is None or reference_to(function):
            continue
        name = getattr(function, "__qualname__", type(function).__name__)
        if "<lambda>" in name:
            return f"{name} is a lambda"
        if "<locals>" in name:
            return f"{name} is a closure"
        if getattr(function, "__module__", None) == "__main__":
            return f"{name} is defined in __main__"
        if reason := _why_not_pickled(function):
            return reason
    return ""


def why_not_sent(functions: Iterable[Function | None]) -> str:
    """Return why these functions cannot be called in other processes; an empty text if they can, as lambdas can."""
    if multiprocessing.current_process().daemon:
        return _DAEMON
    return next(filter(None, map(_why_not_pickled, filter(None, functions))), "")


def _why_not_pickled(function: Function) -> str:
    try:
        cloudpickle.dumps(function)
    except Exception as error:  # noqa: BLE001  whatever its own __reduce__ raises
        return f"{getattr(function, '__qualname__', type(function).__name__)} cannot be pickled ({error})"
    return ""


@cache
def _module(name: str, reference: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # after all others; processes that are started from here inherit it
    try:
        return import_module(name)
    except Exception as error:
        raise UsageError(
            "function-missing",
            f"{name} cannot be imported ({type(error).__name__}: {error})",
            "Install its package here and on every worker, or run in the folder of the module.",
            reference,
        ) from error


def _source(function: Function) -> str:
    module = inspect.getmodule(function)
    file = getattr(module, "__file__", None)
    return fingerprint(Path(file).read_bytes()) if file and Path(file).exists() else repr(module)
