"""import_table: files become rows of a database's table, all of them or none."""

from prefect import flow, get_run_logger

from anabranch.core.argument_files import expanded
from anabranch.core.config import RunOptions
from anabranch.core.parts import Report
from anabranch.formats.arrow import prefer_jemalloc
from anabranch.run.blocks import secret
from anabranch.run.cluster import job_of
from anabranch.run.mapping import by_tasks
from anabranch.run.naming import run_name
from anabranch.run.reporting import concluded
from anabranch.tables.options import ImportOptions
from anabranch.tables.preview import check
from anabranch.tables.secrets import open_store, resolve
from anabranch.tables.stores.base import Store
from anabranch.tables.way import way
from tasks.tables import TASKS


# parts are retried; the setting for all flows would run what failed for good
@flow(name="import-table", flow_run_name=run_name, retries=0)
@concluded
def import_table(
    source: list[str],
    options: ImportOptions,
    output: str | None = None,
    run: RunOptions = RunOptions(),  # noqa: B008  Prefect shows it in the form
) -> Report:
    """Import data files into a table: coerce parts of their records, then all or none in one transaction.

    Args:
        source: Files, folders, glob patterns (** for folders at any depth), or URLs.
            A deployment takes relative paths from the folder of its prefect.yaml.
        options: The database and the table, how to read the sources, what becomes of rejects and duplicates.
        output: Folder for the reports. Default: beside each source.
        run: How the run is carried out.

    """
    prefer_jemalloc()
    source = expanded(source)
    check(source, output, options)

    def connect() -> Store:
        return open_store(resolve(options.into, secret), "empty" if options.check_only else "make")

    return way(job_of(source, output, options, run), by_tasks(TASKS, run), connect, get_run_logger().info)


if __name__ == "__main__":  # python -m flows.tables …: the command
    from anabranch.command.cli import become

    become(import_table.name)
