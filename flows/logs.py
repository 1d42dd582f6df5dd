"""parse_logs: log archives become reports, byte-identical to those of the one-core parser, on all cores."""

from prefect import flow

from anabranch.core.argument_files import expanded
from anabranch.core.config import RunOptions
from anabranch.core.parts import Report
from anabranch.logs.options import LogOptions
from anabranch.logs.targets import check
from anabranch.logs.way import way
from anabranch.run.cluster import job_of
from anabranch.run.mapping import by_tasks
from anabranch.run.naming import run_name
from anabranch.run.reporting import concluded
from tasks.logs import TASKS


# parts are retried; the setting for all flows would run what failed for good
@flow(name="parse-logs", flow_run_name=run_name, retries=0)
@concluded
def parse_logs(
    source: list[str],
    output: str | None = None,
    options: LogOptions = LogOptions(),  # noqa: B008  Prefect shows it in the form
    run: RunOptions = RunOptions(),  # noqa: B008
) -> Report:
    """Parse log archives into reports: unpack slices of the archives, parse parts of their logs, join the text.

    Args:
        source: Archives (tar.bz2, tar.gz, tar.xz, tar.zst, tar), folders of archives or of logs, logs (messages.log,
            messages.log.1.gz), glob patterns, or URLs.
            A deployment takes relative paths from the folder of its prefect.yaml.
        output: File for one report, or folder for several. Default: a file in the work folder.
        options: Which reports to make, in which time zone, for which time.
        run: How the run is carried out.

    """
    source = expanded(source)
    check(source, output, options)
    return way(job_of(source, output, options, run), by_tasks(TASKS, run))


if __name__ == "__main__":  # python -m flows.logs …: the command
    from anabranch.command.cli import become

    become(parse_logs.name)
