"""extract_gps: the positions of photos on an SFTP server or in folders, from a few kilobytes of each, in one table."""

from prefect import flow

from anabranch.core.argument_files import expanded
from anabranch.core.config import RunOptions
from anabranch.core.parts import Report
from anabranch.photos.options import PhotoOptions
from anabranch.photos.plan import check
from anabranch.photos.way import way
from anabranch.run.cluster import job_of
from anabranch.run.mapping import by_tasks
from anabranch.run.naming import run_name
from anabranch.run.reporting import concluded
from tasks.photos import TASKS, unlock


# parts are retried; the setting for all flows would run what failed for good
@flow(name="extract-gps", flow_run_name=run_name, retries=0)
@concluded
def extract_gps(
    source: list[str],
    output: str | None = None,
    options: PhotoOptions = PhotoOptions(),  # noqa: B008  Prefect shows it in the form
    run: RunOptions = RunOptions(),  # noqa: B008
) -> Report:
    """Extract the positions of photos: list the folders, read a few kilobytes of each new photo, join one table.

    Args:
        source: Folders, sftp://user@host:port/folder, or other URLs of folders; without a password.
            A deployment takes relative paths from the folder of its prefect.yaml.
        output: File for the table: .csv, .geojson, .gpx, .kml, .parquet, .summary.json, .html, or
            geo.txt; options may name more.
            Default: a CSV file in the work folder.
        options: Which photos to read, and how to log in where they are.
        run: How the run is carried out.

    """
    source = expanded(source)
    check(source, output, options)
    if options.connections:  # each needs a worker of its own
        run = run.model_copy(update={"workers": options.connections})
    return way(job_of(source, output, options, run), by_tasks(TASKS, run), unlock)


if __name__ == "__main__":  # python -m flows.photos …: the command
    from anabranch.command.cli import become

    become(extract_gps.name)
