"""run_pipeline: a function over every record of many or huge files, in order, on any number of workers."""

from prefect import flow

from anabranch.core.argument_files import expanded
from anabranch.core.config import RunOptions, cluster_address
from anabranch.core.parts import Report
from anabranch.files.pipeline.join import join
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.plan import START_SECONDS
from anabranch.files.pipeline.preview import check
from anabranch.files.pipeline.way import way
from anabranch.formats.arrow import prefer_jemalloc
from anabranch.run.cluster import job_of
from anabranch.run.mapping import by_tasks
from anabranch.run.naming import run_name
from anabranch.run.reporting import concluded
from tasks.pipeline import TASKS


# parts are retried; the setting for all flows would run what failed for good
@flow(name="run-pipeline", flow_run_name=run_name, retries=0)
@concluded
def run_pipeline(
    source: list[str],
    output: str,
    options: PipelineOptions,
    run: RunOptions = RunOptions(),  # noqa: B008  Prefect shows it in the form
) -> Report:
    """Call a function for every record of data files: a conversion with a step in between.

    Args:
        source: Files, folders, glob patterns (** for folders at any depth), or URLs.
            A deployment takes relative paths from the folder of its prefect.yaml.
        output: Folder for the outputs; one file when they are combined.
        options: The function, how the sources are read, and what is written.
        run: How the run is carried out.

    """
    prefer_jemalloc()
    source = expanded(source)
    check(source, output, options)
    start_seconds = 0.0 if cluster_address(run) else START_SECONDS
    return join(way(job_of(source, output, options, run), by_tasks(TASKS, run), start_seconds))


if __name__ == "__main__":  # python -m flows.pipeline …: the command
    from anabranch.command.cli import become

    become(run_pipeline.name)
