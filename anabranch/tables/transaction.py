"""One import in one transaction: everything that is decided, is decided inside it."""

import uuid
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from anabranch.core.errors import AnabranchError, TemporaryError
from anabranch.core.parts import Written
from anabranch.core.rejects import beyond
from anabranch.core.words import many
from anabranch.tables.duplicates import Search, key_columns, nulls_equal, require_stored
from anabranch.tables.history import Counts, History, same_file
from anabranch.tables.normalise import canonical, normaliser
from anabranch.tables.reports import MOST_SAMPLES, DuplicatesWriter, Samples, batches, publish, write_rejects
from anabranch.tables.stores.base import DUPLICATES, ROWS, KeyColumn, Store
from anabranch.tables.target import Import, Piece

Status = Literal["committed", "aborted", "reported", "already_imported"]
Say = Callable[[str], object]


MOST_NAMED = 3  # known files in one warning


@dataclass(slots=True)
class Imported:
    """What an import did, by file."""

    status: Status
    identity: str
    counts: list[Counts]
    outputs: list[str] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)  # of the outputs, those that this run wrote
    error: AnabranchError | None = None  # why nothing was written, or, of a report, would be written
    samples: Samples = field(default_factory=Samples)
    warnings: list[str] = field(default_factory=list)


def carry_out(store: Store, job: Import, pieces: Sequence[Piece], say: Say = lambda _: None) -> Imported:
    """Import the parts' records, all or none, and publish the report.

    An import that its own rules end (duplicates, rejects, a rule of the table) is `aborted`, with its whole report.
    TemporaryError: the database was lost or locked, and nothing was written. A second call after a success finds the
    files known, by the history.
    """
    return _Run(store, job, pieces, say).carry_out()


class _Run:
    def __init__(self, store: Store, job: Import, pieces: Sequence[Piece], say: Say) -> None:
        self.store, self.job, self.pieces, self.say = store, job, pieces, say
        self.started = datetime.now(UTC)
        self.identity = str(uuid.uuid4())
        self.folder = Path(job.folder) / self.identity
        self.firsts = [0, *accumulate(piece.manifest.counts["records"] for piece in pieces)]  # before each piece
        self.befores = _before_files(job, pieces)
        self.history = History(store, job)
        self.known: dict[int, dict[str, object]] = {}  # files that the table has already, with their imports
        self.result = Imported("aborted", self.identity, [Counts() for _ in job.files])
        self.writes = not (job.policy.validate or job.policy.on_duplicate == "report")

    def carry_out(self) -> Imported:
        job = self.job
        self.store.check(job.target, job.columns, compared(job))
        if self._remember() and len(self.known) == len(job.files):
            return self._already()
        if job.policy.history and self.writes:
            self.history.make()
        try:
            self.store.begin(job.policy.lock_timeout)
            return self._inside()
        finally:
            self.store.rollback()

    # -- files that are known

    def _remember(self) -> bool:
        """Note which files the table has already."""
        self.known.clear()
        policy = self.job.policy
        if policy.history and policy.on_same_file != "again" and self.job.target.exists and self.history.exists():
            for number, file in enumerate(self.job.files):
                if found := self.history.committed(file):
                    self.known[number] = found
        if not self.job.known <= self.known.keys():  # their records were not even read
            reason = "its history lost an import while this one ran"
            raise TemporaryError("table-changed", reason, "Run the same command again.", str(self.job.target.table))
        return bool(self.known)

    def _already(self) -> Imported:
        result = self.result
        if self.job.policy.on_same_file == "fail":
            number = min(self.known)
            result.error = same_file(self.job.files[number].label, self.known[number])
            return result
        result.status = "already_imported"
        result.counts = [Counts.of(self.known[number]) for number in sorted(self.known)]
        identities = {str(known["id"]) for known in self.known.values()}
        result.identity = min(identities)
        for identity in sorted(identities):
            result.outputs += publish(self.job, Path(self.job.folder) / identity, result.written, again=True)
        return result

    # -- the transaction

    def _inside(self) -> Imported:
        job, store, result = self.job, self.store, self.result
        keys = key_columns(store, job)
        search = Search(store, job, keys)
        compares = job.policy.on_duplicate != "allow"
        staged = store.stage(job.target, job.columns, keys, self._rows(keys))
        self._account(staged)
        self.say(f"{many(staged, 'record')} copied to the database")
        if compares:
            search.in_files()
        left_out = set(self.known)
        alone = self.writes and compares and job.target.exists
        store.lock(job.target, compared(job), alone=alone, nulls=nulls_equal(job))
        self.say(f"table {job.target.table} locked")
        self._require_unchanged()
        if self._remember() and (len(self.known) == len(job.files) or job.policy.on_same_file == "fail"):
            return self._already()
        self._leave_out(self.known.keys() - left_out)
        if compares and self.known.keys() - left_out:
            search.in_files_again()
        self.folder.mkdir(parents=True, exist_ok=True)
        result.samples = write_rejects(job, [p for p in self.pieces if p.file not in self.known], self.folder)
        self._count_pieces()
        duplicates = self._find(search, keys) if compares else 0
        changed = self._changed(search)
        result.error = self._refusal()
        if result.error is None and job.policy.on_duplicate != "report":
            result.error = self._stored(search, duplicates, changed)
        if result.error or not self.writes:
            store.rollback()
            result.status = "aborted" if self.writes else "reported"
        else:
            self._commit()
        if result.status == "aborted":
            self._note_aborted()
        result.outputs = publish(job, self.folder, result.written)
        return result

    def _rows(self, keys: Sequence[KeyColumn]) -> Iterator[pa.Table]:
        """Read the parts' rows in their order, numbered through the whole run from 1, under the names of ROWS."""
        names = ["n", *(f"c{place}" for place in range(len(self.job.columns)))]
        apart = [key for key in keys if key.apart]
        normalise = normaliser(self.job.policy.key_normalise)
        for piece, first in zip(self.pieces, self.firsts, strict=False):
            if piece.file in self.known:
                continue
            for batch in batches(piece.manifest.rows.path):
                columns = [pc.add(batch.column(0), first + 1), *batch.columns[1:]]
                columns += [_compared(batch.column(key.column.name), key, normalise) for key in apart]
                yield pa.table(columns, names=[*names, *(key.staged for key in apart)])

    def _account(self, staged: int) -> None:
        """Raise unless every record of the parts is a row in the database, or rejected."""
        counts = [piece.manifest.counts for piece in self.pieces if piece.file not in self.known]
        if staged != sum(one["records"] - one["rejected"] for one in counts):
            raise AnabranchError(
                "accounting",
                f"the parts have {counts}, and {staged} rows reached the database",
                "This is a defect of Anabranch: nothing was written. Please report it.",
            )

    def _require_unchanged(self) -> None:
        """Look at the table again, now that it is locked; create it if it is still missing."""
        job = self.job
        now = self.store.describe(job.target.table)
        if not now.exists and not job.target.exists:
            self.store.run(self.store.create_sql(job.target))
            return
        expected = {name: str(job.target.named[name].type) for name in job.columns}
        found = {name: str(now.named[name].type) for name in job.columns if name in now.named}
        if now.exists != job.target.exists or expected != found:
            raise TemporaryError(
                "table-changed",
                f"table {job.target.table} was made, changed or dropped by another program meanwhile",
                "Run the same command again: it reads the table's columns again.",
            )

    def _leave_out(self, late: Collection[int]) -> None:
        """Remove the records of files that another import brought in meanwhile, and name all that are left out."""
        for number in late:
            last = self.befores[number + 1] if number + 1 < len(self.befores) else self.firsts[-1]
            self.store.run(f"DELETE FROM {ROWS} WHERE n > {self.befores[number]} AND n <= {last}")
        if self.known:
            labels = [self.job.files[number].label for number in sorted(self.known)]
            more = f" and {len(labels) - MOST_NAMED:,} more" if len(labels) > MOST_NAMED else ""
            named = f"{', '.join(labels[:MOST_NAMED])}{more}"
            were = "is known already and was" if len(labels) == 1 else "are known already and were"
            self.result.warnings.append(f"{named} {were} left out")

    def _count_pieces(self) -> None:
        for piece in self.pieces:
            if piece.file not in self.known:
                counts = self.result.counts[piece.file]
                counts.rows_in_file += piece.manifest.counts["records"]
                counts.rejected += piece.manifest.counts["rejected"]

    def _find(self, search: Search, keys: Sequence[KeyColumn]) -> int:
        """Find the duplicates, count them by file, and write their report; return how many."""
        if any(key.apart for key in keys) and self.job.target.exists:
            self.store.stage_keys(self.job.target, keys, normaliser(self.job.policy.key_normalise))
        search.in_table()
        writers = [
            DuplicatesWriter(self.folder / f"{number}.duplicates.parquet") for number in range(len(self.job.files))
        ]
        total = 0
        for n, kept in search.found():
            number, record = self._place(n)
            first, label = (None, None) if kept is None else self._named(kept)
            writers[number].add(record, first, label)
            counts = self.result.counts[number]
            counts.duplicates_in_table += kept is None
            counts.duplicates_in_file += kept is not None
            total += 1
            if len(self.result.samples.duplicates) < MOST_SAMPLES:
                where = "table" if kept is None else "file"
                facts = {"file": self.job.files[number].label, "record": record, "where": where, "first_row": first}
                self.result.samples.duplicates.append(facts)
        for writer in writers:
            writer.close()
        self.say(f"{total:,} duplicates found")
        return total

    def _changed(self, search: Search) -> int:
        """Count the records that change a row of the table; return the number of those rows."""
        if self.job.policy.on_duplicate != "update" or not self.job.target.exists:
            return 0
        rows = 0
        for n, count in search.changed(lock=self.writes):
            self.result.counts[self._place(n)[0]].updated += 1
            rows += count
        for counts in self.result.counts:
            counts.unchanged = counts.duplicates_in_table - counts.updated
        return rows

    def _refusal(self) -> AnabranchError | None:
        """Return why nothing may be written, if so."""
        policy, total = self.job.policy, Counts.total(self.result.counts)
        if total.rejected and policy.on_reject == "fail":
            reason = f"{total.rejected:,} of {total.rows_in_file:,} records are rejected"
            return AnabranchError("rejects", reason, "Nothing was written. Correct the records that the report lists.")
        if policy.max_rejects is not None and beyond(total.rejected, total.rows_in_file, policy.max_rejects):
            reason = (
                f"{total.rejected:,} of {total.rows_in_file:,} records are rejected, and {policy.max_rejects} may be"
            )
            return AnabranchError("rejects", reason, "Nothing was written. Correct the records that the report lists.")
        if policy.on_duplicate == "fail" and (total.duplicates_in_table or total.duplicates_in_file):
            return self._overlap(total)
        return None

    def _overlap(self, total: Counts) -> AnabranchError:
        rows = self.store.stream(f"SELECT n FROM {DUPLICATES} WHERE kept IS NULL")
        parts = len({bisect_right(self.firsts, n - 1) for (n,) in rows})
        reasons = []
        if total.duplicates_in_table:
            overlap = f"{many(total.duplicates_in_table, 'record')} in {many(parts, 'part')}"
            reasons.append(f"overlap with existing data: {overlap}")
        if total.duplicates_in_file:
            reasons.append(f"keys of earlier records: {many(total.duplicates_in_file, 'record')}")
        remedy = "Nothing was written. Choose what becomes of them: --on-duplicate skip or update."
        return AnabranchError("duplicates", ", ".join(reasons), remedy)

    def _stored(self, search: Search, duplicates: int, changed: int) -> AnabranchError | None:
        """Write the rows, which are not committed yet; return the rule of the table that refuses them, if one does."""

        def write() -> None:
            if changed:
                search.update(changed)
            require_stored(search.insert(duplicates), Counts.total(self.result.counts).would_accept)
            self.store.settle()

        return _refused(write)

    def _commit(self) -> None:
        result, total = self.result, Counts.total(self.result.counts)
        for counts in result.counts:
            counts.accepted = counts.would_accept
        if self.job.policy.history:
            self.history.write(self.identity, "committed", result.counts, self.started, list(self.known))
        self.say(f"{many(total.would_accept, 'row')} inserted, {total.updated:,} updated")
        result.error = _refused(self.store.commit)  # where rules are checked as late as that
        if result.error:
            self.store.rollback()
            for counts in result.counts:
                counts.accepted = 0
            return
        self.say("import committed")
        result.status = "committed"

    def _note_aborted(self) -> None:
        """Keep the counts of what was not written, where there is a history."""
        if self.job.policy.history and self.writes and self.history.exists():
            self.history.write(self.identity, "aborted", self.result.counts, self.started, list(self.known))

    # -- numbers

    def _place(self, n: int) -> tuple[int, int]:
        """Return the file of a record, and its number in it."""
        number = self.pieces[bisect_right(self.firsts, n - 1) - 1].file
        return number, n - self.befores[number]

    def _named(self, n: int) -> tuple[int, str]:
        number, record = self._place(n)
        return record, self.job.files[number].label


def _refused(write: Callable[[], None]) -> AnabranchError | None:
    """Return the error by which the table's own rules refuse what is written."""
    try:
        write()
    except AnabranchError as error:
        if error.code not in ("constraint-violated", "rows-swallowed"):
            raise
        return error
    return None


def compared(job: Import) -> tuple[str, ...]:
    """Return the key's columns where records are compared at all."""
    return () if job.policy.on_duplicate == "allow" else job.policy.key or job.columns


def _before_files(job: Import, pieces: Sequence[Piece]) -> list[int]:
    """Count the records before each file."""
    records = [0] * len(job.files)
    for piece in pieces:
        records[piece.file] += piece.manifest.counts["records"]
    return [0, *accumulate(records)][:-1]


def _compared(column: pa.Array, key: KeyColumn, normalise: Callable[[str], str]) -> pa.Array:
    if key.column.type and key.column.type.kind == "numeric":
        return pa.array([canonical(value) for value in column.to_pylist()], pa.string())
    return pa.array([value if value is None else normalise(value) for value in column.to_pylist()], pa.string())
