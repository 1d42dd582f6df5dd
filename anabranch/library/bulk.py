"""`anabranch.bulk_convert`: the conversion as a Python function, with the signature that iterabledata's users know."""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress as Bar

from anabranch.core.config import RunOptions, cores, first_fault, work_dir
from anabranch.core.errors import AnabranchError
from anabranch.core.here import P, Work, map_here
from anabranch.core.parts import Job, Outcome, Plan
from anabranch.files.join import accounting, publish, published_groups, warnings_of
from anabranch.files.manifest import Entry, SourceEntry
from anabranch.files.options import ConvertOptions
from anabranch.files.plan import Conversion
from anabranch.files.preview import check
from anabranch.files.targets import is_named_like_a_file
from anabranch.files.way import way
from anabranch.formats.formats import ending
from anabranch.formats.options import WriteOptions
from anabranch.library.defaults import READ_ARGUMENTS, Defaults
from anabranch.sources.source import Source

Progress = Callable[[dict[str, Any]], object]

_TAKEN = {"to", "pattern", "flatten"}  # of ConvertOptions, by arguments of another name


@dataclass
class ConversionResult:
    """The rows and bytes of one converted file."""

    rows_in: int
    rows_out: int
    elapsed_seconds: float  # of one core
    bytes_read: int | None = None
    bytes_written: int | None = None
    errors: list[Exception] = field(default_factory=list)


@dataclass
class FileConversionResult:
    """One file of a bulk conversion: `result` if it was converted, otherwise `error`."""

    source_file: str
    dest_file: str
    result: ConversionResult | None
    error: Exception | None = None

    @property
    def success(self) -> bool:
        """Whether the file was converted."""
        return self.error is None and self.result is not None


@dataclass
class BulkConversionResult:
    """All files of a bulk conversion, in the order of the sources, and their totals."""

    total_files: int
    successful_files: int
    failed_files: int
    total_rows_in: int
    total_rows_out: int
    total_elapsed_seconds: float
    file_results: list[FileConversionResult] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # sheets and empty sources left out, rows set aside

    @property
    def throughput(self) -> float | None:
        """Rows written per second."""
        return self.total_rows_out / self.total_elapsed_seconds if self.total_elapsed_seconds > 0 else None


def bulk_convert(  # noqa: PLR0917  the signature that users know
    source: str | Path | Sequence[str | Path],
    dest: str | Path,
    pattern: str | None = None,
    to_ext: str | None = None,
    iterableargs: Mapping[str, Any] | None = None,
    toiterableargs: Mapping[str, Any] | None = None,
    scan_limit: int = 1000,
    batch_size: int = 50000,
    silent: bool = True,
    is_flatten: bool = False,
    use_totals: bool = False,  # noqa: ARG001  of the signature; sizes are always known
    progress: Progress | None = None,
    progress_interval: int = 1000,  # noqa: ARG001  of the signature; progress comes with every part
    show_progress: bool = False,
    atomic: bool = True,  # noqa: ARG001  of the signature; every output is published whole or not at all
    use_native_batch: bool = True,  # noqa: ARG001  of the signature; rows always travel in batches
    parallel: bool | None = None,
    workers: int | None = None,
    **options: Any,
) -> BulkConversionResult:
    r"""Convert files into `dest`, each to the format that `to_ext` or the extension of `pattern` names.

    Does the same as the flow convert_files, without a server or a cluster: blocks of files are converted by threads of
    this process, one at a time unless `parallel`. The outputs are byte-identical either way. Every file is converted
    again, also one that has not changed since the last call.

    Args:
        source: File, folder, glob pattern (** for any depth), URL, or several of these.
        dest: Folder of the outputs, created if it is missing; or, for one source, a file such as out.parquet.
        pattern: Name of each output, made from {name}, {stem}, {ext} and {parent}.
        to_ext: Format to write, such as parquet or csv.gz.
        iterableargs: How the sources are read: delimiter, quotechar, encoding, format.
        toiterableargs: How the outputs are written: delimiter.
        scan_limit: Has no effect; the first 1,000 rows give the columns their types, and later rows widen them.
        batch_size: Has no effect; blocks always have the same size.
        silent: Show no progress bar, whatever `show_progress` says.
        is_flatten: Write fields of nested records as columns with dotted names.
        use_totals: Has no effect.
        progress: Called after every part with file_index, total_files, current_file, file_rows_read,
            file_rows_written, rows_read, rows_written and elapsed.
        progress_interval: Has no effect.
        show_progress: Show a progress bar on stderr.
        atomic: Has no effect; outputs always appear whole.
        use_native_batch: Has no effect.
        parallel: Use several threads. Default: the setting ANABRANCH_PARALLEL, else no.
        workers: How many. Default: the setting ANABRANCH_WORKERS, else one per core.
        **options: Further options by their names in ReadOptions and WriteOptions, such as on_conflict or on_bad_row;
            with combine, `dest` is one file for all sources.

    Returns:
        The result of each file, in the order of the sources, and totals.

    Raises:
        ValueError: Neither `pattern` nor `to_ext` is given, or an argument is not valid.
        UsageError: Names of outputs collide, a source is missing, or an output cannot be written.
        TemporaryError: A disk is full ("disk-full"), after which no other file can be written either.

    Examples:
        >>> from pathlib import Path
        >>> _ = Path("orders.csv").write_text("id,amount\n00123,9.5\n00124,12\n")
        >>> result = anabranch.bulk_convert("*.csv", "converted/", to_ext="jsonl")
        >>> result.successful_files, result.failed_files, result.total_rows_out
        (1, 0, 2)
        >>> print(Path("converted/orders.jsonl").read_text(), end="")
        {"id":"00123","amount":9.5}
        {"id":"00124","amount":12.0}

    """
    if pattern is None and to_ext is None:
        raise ValueError("Either 'pattern' or 'to_ext' must be specified")
    if scan_limit < 0 or batch_size <= 0:
        raise ValueError("scan_limit must be at least 0, batch_size at least 1")
    if workers is not None and workers < 1:
        raise ValueError("workers must be at least 1")
    if options.get("combine"):
        if pattern is not None:
            raise ValueError("with combine, dest is the only output, so pattern has no use")
    elif Path(dest).exists() and not Path(dest).is_dir() and not is_named_like_a_file(str(dest)):
        raise ValueError(f"Destination path '{dest}' exists but is not a directory")
    if taken := set(options) & _TAKEN:
        raise ValueError(f"{sorted(taken)} cannot be given here: use pattern, to_ext and is_flatten")
    given = {**_reading(iterableargs or {}), **_writing(toiterableargs or {}), **options}
    try:
        chosen = ConvertOptions(to=_format(pattern, to_ext), pattern=pattern, flatten=is_flatten, **given)
        defaults = Defaults()
    except ValidationError as error:
        raise ValueError(": ".join(filter(None, first_fault(error)))) from None
    threads = (workers or defaults.workers or cores()) if (defaults.parallel if parallel is None else parallel) else 1
    sources = [str(one) for one in ([source] if isinstance(source, str | Path) else source)]
    target = str(Path(dest).absolute()) + "/" * str(dest).endswith("/")
    job = Job(sources, target, chosen, work_dir(RunOptions()), threads, refresh=True)
    started = time.time()
    with _bar(shown=show_progress and not silent) as bar:
        conversion, entries = convert(job, _Watch(progress, bar))
    return _result(conversion, entries, time.time() - started)


def convert(
    job: Job[ConvertOptions], seen: Callable[[Conversion, Outcome], object] = lambda _plan, _outcome: None
) -> tuple[Conversion, list[Entry]]:
    """Convert the job's sources on its number of threads.

    `seen` is called with the plan of the round and the outcome of every part, as it comes.
    """
    check(job.source, job.output, job.options)

    def mapped(step: Work[P], plan: Plan[P], /) -> list[Outcome]:
        watch = partial(seen, plan) if isinstance(plan, Conversion) else (lambda _outcome: None)
        return map_here(step, plan, job.threads, watch)

    conversion = way(job, mapped)
    return conversion, publish(conversion)


def _format(pattern: str | None, to_ext: str | None) -> str:
    """Return the format to write; ValueError if the names of the outputs would imply another."""
    named = ending((pattern or "").replace("{stem}", "stem"))  # a name that begins with a dot has no ending
    if to_ext and named and WriteOptions(to=to_ext).to != named:
        raise ValueError(f"to_ext is {to_ext!r}, but the pattern {pattern!r} gives the outputs the extension {named}")
    return to_ext or named


def _reading(arguments: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(arguments) - set(READ_ARGUMENTS)
    if unknown:  # ignoring an option could silently change the data
        raise ValueError(f"iterableargs has {sorted(unknown)}, but only {sorted(READ_ARGUMENTS)} are supported")
    return {READ_ARGUMENTS[name]: value for name, value in arguments.items()}


def _writing(arguments: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(arguments) - {"delimiter"}
    if unknown:
        raise ValueError(f"toiterableargs has {sorted(unknown)}, but only ['delimiter'] is supported")
    return {"output_delimiter": arguments["delimiter"]} if arguments else {}


def _bar(*, shown: bool) -> Any:
    """Return a progress bar on stderr, or a context that does nothing."""
    if not shown:
        return nullcontext()
    bar = Bar(console=Console(stderr=True))
    bar.add_task("Converting", total=None)
    return bar


class _Watch:
    """Report the progress of a conversion to a callback and a bar."""

    def __init__(self, progress: Progress | None, bar: Any) -> None:
        self._progress, self._bar = progress, bar
        self._started = time.monotonic()
        self._rows: Counter[int] = Counter()

    def __call__(self, conversion: Conversion, outcome: Outcome) -> None:
        """Take in one part's outcome."""
        for segment in outcome.manifest.segments if outcome.done else ():
            self._rows[segment.piece.file] += segment.rows
            self._tell(conversion, segment.piece.file)
        if self._bar:
            self._bar.update(self._bar.task_ids[0], total=len(conversion.parts), advance=1)

    def _tell(self, conversion: Conversion, index: int) -> None:
        if self._progress is None:
            return
        figures = {
            "file_index": index + 1,
            "total_files": len(conversion.sources),
            "current_file": conversion.catalogue.files[index].source.path,
            "file_rows_read": self._rows[index],
            "file_rows_written": self._rows[index],
            "rows_read": self._rows.total(),
            "rows_written": self._rows.total(),
            "elapsed": time.monotonic() - self._started,
        }
        try:
            self._progress(figures)
        except Exception:
            logging.getLogger(__name__).exception("the progress callback failed; the conversion goes on")


def _result(conversion: Conversion, entries: Sequence[Entry], seconds: float) -> BulkConversionResult:
    written = {
        index: (entry, source)
        for group, entry in zip(published_groups(conversion), entries, strict=True)
        for index, source in zip(group, entry.sources, strict=True)
    }
    spent: defaultdict[int, float] = defaultdict(float)
    for segment in conversion.segments:
        spent[segment.piece.file] += segment.seconds
    numbers = {file.source.path: number for number, file in enumerate(conversion.catalogue.files)}
    indexes = [numbers.get(source.path) for source in conversion.sources]
    results = [
        _file_result(source, conversion, index, None if index is None else written.get(index), spent)
        for source, index in zip(conversion.sources, indexes, strict=True)
    ]
    labels = {source.label for source in conversion.sources}
    unread = [error for error in conversion.errors if error.part not in labels]
    results += [FileConversionResult(error.part, "", None, error) for error in unread]
    good = [one.result for one in results if one.result]
    return BulkConversionResult(
        total_files=len(results),
        successful_files=len(good),
        failed_files=len(results) - len(good),
        total_rows_in=sum(result.rows_in for result in good),
        total_rows_out=sum(result.rows_out for result in good),
        total_elapsed_seconds=seconds,
        file_results=results,
        errors=[one.error for one in results if one.error],
        warnings=warnings_of(conversion, entries),
    )


def _file_result(
    source: Source,
    conversion: Conversion,
    index: int | None,
    written: tuple[Entry, SourceEntry] | None,
    spent: Mapping[int, float],
) -> FileConversionResult:
    target = conversion.outputs[index] if index is not None else ""
    if written and index is not None:
        entry, read = written
        done = ConversionResult(read.rows, read.rows - read.bad_rows, spent[index], source.size, entry.size)
        return FileConversionResult(source.path, target, done)
    if source in conversion.skipped:
        return FileConversionResult(source.path, "", ConversionResult(0, 0, 0.0, source.size, 0))
    if index is not None and index in conversion.failed:
        return FileConversionResult(source.path, target, None, conversion.failed[index])
    error = next((error for error in conversion.all_errors if error.part == source.label), None)
    if error is None and not (conversion.catalogue.options.combine and conversion.all_errors):
        raise accounting(f"{source.label} was neither converted, nor empty, nor did it fail")
    everything = AnabranchError("not-converted", "it was not converted", "See the errors of the others.", source.label)
    return FileConversionResult(source.path, target, None, error or everything)
