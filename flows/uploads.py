"""upload_files: big files in parallel parts, resumable after anything, every byte verified."""

from prefect import flow

from anabranch.core.argument_files import expanded
from anabranch.core.config import RunOptions, work_dir
from anabranch.core.parts import Report
from anabranch.core.tally import Tally
from anabranch.run.cancelling import CancelWatch
from anabranch.run.cluster import job_of
from anabranch.run.following import follow
from anabranch.run.limits import Limit, SharedLimits, limit_name
from anabranch.run.mapping import by_tasks
from anabranch.run.naming import run_name
from anabranch.run.reporting import concluded
from anabranch.uploads.counting import counting, noting
from anabranch.uploads.memory import used_percent
from anabranch.uploads.options import UploadOptions
from anabranch.uploads.preview import check
from anabranch.uploads.standing import standing
from anabranch.uploads.way import way
from tasks.uploads import TASKS, unlock


# parts are retried; the setting for all flows would send what failed for good
@flow(name="upload-files", flow_run_name=run_name, retries=0)
@concluded
def upload_files(
    source: list[str],
    output: str,
    options: UploadOptions = UploadOptions(),  # noqa: B008  Prefect shows it in the form
    run: RunOptions = RunOptions(),  # noqa: B008
) -> Report:
    """Upload files: parts of big ones and groups of small ones in parallel, each verified; the same run resumes.

    Args:
        source: Files, folders, or glob patterns.
            A deployment takes relative paths from the folder of its prefect.yaml.
        output: Where to: s3://bucket/prefix/, gs://bucket/prefix/, az://container/prefix/, sftp://user@host/folder/,
            gdrive://FOLDER-ID, or a folder.
        options: How the files are uploaded.
        run: How the run is carried out.

    """
    source = expanded(source)
    check(source, output, options)
    limits = [
        Limit(limit_name(name, whose) if whose else name, number, chosen)
        for name, whose, number, chosen in options.places
    ]
    tally = Tally()
    follow(tally, work_dir(run), lambda: standing(options), used_percent)
    with CancelWatch() as cancelled, SharedLimits(limits) as slots:
        mapped = by_tasks(TASKS, options.carried_out(run), counting(tally), noting(tally))
        return way(job_of(source, output, options, run), mapped, slots, cancelled.requested, tally, unlock=unlock)


if __name__ == "__main__":  # python -m flows.uploads …: the command
    from anabranch.command.cli import become

    become(upload_files.name)
