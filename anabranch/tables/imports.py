"""The commands about imports that were made: what they print."""

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from anabranch.tables.history import list_imports, show_import
from anabranch.tables.secrets import open_store, resolve
from anabranch.tables.target import TableName

Into = Annotated[str, Parameter(help="Database, as for import-table.")]
Schema = Annotated[str | None, Parameter(help="Schema of the tables. Default: the one where the database looks first.")]
_LISTED = ("id", "finished_at", "status", "file", "table_name", "rows_in_file", "accepted", "updated", "rejected")


def list_all(
    *,
    into: Into,
    table: Annotated[str | None, Parameter(help="Only the imports into this table.")] = None,
    schema: Schema = None,
) -> Sequence[dict[str, Any]]:
    """List the imports into a database's tables, the latest last: one line for each file."""
    with open_store(resolve(into), "refuse") as store:
        found = list_imports(store, schema, TableName.parse(table) if table else None)
    return [{name: row[name] for name in _LISTED} for row in found]


def show(
    identity: Annotated[str, Parameter(help="Id of the import, or its unique beginning.")],
    /,
    *,
    into: Into,
    schema: Schema = None,
) -> dict[str, Any] | Sequence[dict[str, Any]]:
    """Show everything that is known of one import."""
    with open_store(resolve(into), "refuse") as store:
        found = show_import(store, identity, schema)
    return found[0] if len(found) == 1 else found
