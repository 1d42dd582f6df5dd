"""convert_files: many or huge data files become other formats, the same for any number of parts and workers."""

from prefect import flow

from anabranch.core.argument_files import expanded
from anabranch.core.config import RunOptions
from anabranch.core.parts import Report
from anabranch.files.join import join
from anabranch.files.options import ConvertOptions
from anabranch.files.preview import check
from anabranch.files.way import way
from anabranch.formats.arrow import prefer_jemalloc
from anabranch.run.cluster import job_of
from anabranch.run.mapping import by_tasks
from anabranch.run.naming import run_name
from anabranch.run.reporting import concluded
from tasks.files import TASKS


# parts are retried; the setting for all flows would run what failed for good
@flow(name="convert-files", flow_run_name=run_name, retries=0)
@concluded
def convert_files(
    source: list[str],
    output: str,
    options: ConvertOptions = ConvertOptions(),  # noqa: B008  Prefect shows it in the form
    run: RunOptions = RunOptions(),  # noqa: B008
) -> Report:
    """Convert data files: look at them, convert blocks of their rows with one schema per output, join the blocks.

    Args:
        source: Files, folders, glob patterns (** for folders at any depth), or URLs.
            A deployment takes relative paths from the folder of its prefect.yaml.
        output: Folder for the outputs; one file when they are combined.
        options: What to write, and how to read the sources.
        run: How the run is carried out.

    """
    prefer_jemalloc()
    source = expanded(source)
    check(source, output, options)
    return join(way(job_of(source, output, options, run), by_tasks(TASKS, run)))


if __name__ == "__main__":  # python -m flows.files …: the command
    from anabranch.command.cli import become

    become(convert_files.name)
