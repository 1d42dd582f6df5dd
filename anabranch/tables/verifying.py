"""Compare a table with what an import wrote into it, as far as that can be known later."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from anabranch.core.errors import UsageError
from anabranch.core.parts import Written
from anabranch.core.verifying import Finding
from anabranch.core.words import many
from anabranch.tables.history import show_import
from anabranch.tables.secrets import open_store, resolve
from anabranch.tables.stores.base import Store, table_in
from anabranch.tables.target import TableName

NOT_KNOWN = "whether other programs changed its rows since cannot be known"


def verify(
    written: Sequence[Written], parameters: Mapping[str, Any], block: Callable[[str], str] | None = None
) -> Iterator[Finding]:
    """Look for the import in the database's history, and count the table's rows; `block` reads a Prefect block.

    `parameters` are those of the run's flow. Raises what the database refuses.
    """
    options = parameters["options"]
    for one in written:
        with open_store(resolve(one.place, block), "refuse") as store:
            yield _table(store, one, TableName.parse(options["table"]), kept=options.get("history", True))


def _table(store: Store, one: Written, table: TableName, *, kept: bool) -> Finding:
    target = store.describe(table)
    if not target.exists:
        return Finding(one.name, "missing")
    inserted = one.rows or 0
    if kept:
        try:
            noted = sum(row["accepted"] for row in show_import(store, one.tag, target.table.schema))
        except UsageError:
            return Finding(one.name, "changed", f"its history no longer has the import {one.tag}")
        if noted != inserted:
            return Finding(
                one.name, "changed", f"its history says {many(noted, 'row')}, and {inserted:,} were inserted"
            )
    [(count,)] = store.rows(f"SELECT count(*) FROM {table_in(store, target.table)}")
    if count < inserted:
        return Finding(one.name, "changed", f"it has {many(count, 'row')}, and {inserted:,} were inserted")
    return Finding(one.name, "as_recorded", f"its rows are counted; {NOT_KNOWN}")
