"""A pipeline whose destination is a folder: one output for each source, as the command writes them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

from anabranch.core.config import RunOptions, first_fault, work_dir
from anabranch.core.errors import UsageError
from anabranch.core.parts import Job
from anabranch.files.pipeline.functions import reference_to
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.plan import Applying
from anabranch.files.pipeline.tally import Tally
from anabranch.library.local import run_here
from anabranch.library.origin import paths_of


def is_folder(destination: Any) -> bool:
    """Whether a destination is a folder: it ends with a slash, or is there."""
    return isinstance(destination, str | Path) and (str(destination).endswith("/") or Path(destination).is_dir())


def require_files(source: Any, **given: object) -> list[str]:
    """Return the paths of the sources; UsageError where there are none, or for what outputs in a folder cannot have."""
    paths = paths_of(source)
    if paths is None:
        raise UsageError(
            "output-not-a-file", "the destination is a folder, and the source is not files", "Name a file."
        )
    for name, value in given.items():
        if value:
            reason = f"{name} means nothing where the destination is a folder"
            raise UsageError("bad-argument", reason, "Leave it out, or name one file as the destination.")
    return paths


def into_folder(
    paths: list[str], destination: str | Path, tally: Tally, workers: int, options: dict[str, Any]
) -> Applying:
    """Call the functions of the tally's step for the records of files, and write one output for each of these."""
    step = tally.step
    with _named({"function": step.function, "init": step.init, "merge": step.merge}) as (names, is_own):
        if is_own:  # other processes cannot import it
            if options["mode"] == "process":
                remedy = "Put the functions into a module, or choose the parallel_mode thread or inline."
                raise UsageError("bad-argument", "processes write into a folder only by functions of a module", remedy)
            options["mode"] = "thread" if workers > 1 else "inline"
        try:
            chosen = PipelineOptions.model_validate({**names, **options})
        except ValidationError as error:
            name, reason = first_fault(error)
            raise UsageError("bad-argument", f"{name}: {reason}", "Correct it.") from error
        output = f"{Path(destination).absolute()}/"
        plan, _ = run_here(Job(paths, output, chosen, work_dir(RunOptions()), workers), tally)
    return plan


@contextmanager
def _named(functions: dict[str, Callable[..., Any] | None]) -> Iterator[tuple[dict[str, str], bool]]:
    """Yield references to functions; those that no module has are in one of this process until the block ends."""
    module = ModuleType(f"anabranch_functions_{uuid4().hex}")
    names = {name: reference_to(function) for name, function in functions.items() if function}
    for name, reference in names.items():
        if reference is None:
            setattr(module, name, functions[name])
    sys.modules[module.__name__] = module
    try:
        found = {name: reference or f"{module.__name__}:{name}" for name, reference in names.items()}
        yield found, None in names.values()
    finally:
        del sys.modules[module.__name__]
