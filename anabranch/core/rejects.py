"""How many records may be rejected: the option of every workload that sets records aside, and what it means."""

from decimal import Decimal

from anabranch.core.errors import SourceError

PATTERN = r"^\d+%?$"  # of a number of records, or a share of them


def beyond(rejected: int, records: int, limit: str | None) -> bool:
    """Whether more records are rejected than N, or than P% of all; without a limit, whether all of them are."""
    if limit is None:
        return 0 < records <= rejected
    if limit.endswith("%"):
        return rejected * 100 > Decimal(limit[:-1]) * records
    return rejected > int(limit)


def too_many(rejected: int, records: int, limit: str | None, first: str, part: str = "") -> SourceError:
    """Return the error for more rejected records than may be; `first` is the reason of the first one."""
    bound = "and no other is left" if limit is None else f"and {limit} may be"
    why = f"; the first: {first}" if first else ""
    reason = f"{rejected:,} of {records:,} records are rejected, {bound}{why}"
    remedy = "Correct the records or the function, or allow more with --max-rejects, such as 100%."
    return SourceError("rejects", reason, remedy, part)
