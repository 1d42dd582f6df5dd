"""convert_files: many or huge data files become other formats, the same for any number of parts and workers."""

from prefect import flow

from anabranch.core.config import RunOptions
from anabranch.core.parts import Report
from anabranch.files.join import join
from anabranch.files.listing import listed
from anabranch.files.options import ConvertOptions
from anabranch.files.plan import plan
from anabranch.files.preview import check
from anabranch.files.rounds import settle
from anabranch.files.versions import code_key
from anabranch.formats.arrow import hold_less
from anabranch.formats.survey import survey
from anabranch.run.cluster import job_of
from anabranch.run.mapping import map_parts
from anabranch.run.reporting import concluded
from tasks.files import convert_part, look_at_files, unpack_slices


@flow(name="convert-files", retries=0)  # parts are retried; the setting for all flows would run what failed for good
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
    hold_less()
    check(source, output, options)
    job = job_of(source, output, options, run)
    listing = listed(job)
    looks = survey(listing, map_parts(unpack_slices, listing, run), job, code_key())
    conversion = plan(looks, map_parts(look_at_files, looks, run), job)
    while conversion.parts:  # once, unless rows turn out to need wider types than the heads of their files told
        conversion.save()
        conversion = settle(conversion, map_parts(convert_part, conversion, run), job.threads)
    return join(conversion)


if __name__ == "__main__":  # python -m flows.files …: the command
    from anabranch.command.cli import become

    become(convert_files.name)
