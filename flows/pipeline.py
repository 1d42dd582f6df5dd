"""run_pipeline: a function over every record of many or huge files, in order, on any number of workers."""

from dataclasses import replace

from prefect import flow

from anabranch.core.config import RunOptions, cluster_address
from anabranch.core.parts import Report
from anabranch.files.listing import listed
from anabranch.files.pipeline.agree import agreed, agreeing
from anabranch.files.pipeline.join import join, results
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.plan import START_SECONDS, applying, probing
from anabranch.files.pipeline.preview import check
from anabranch.files.plan import gathered
from anabranch.files.rounds import settle
from anabranch.files.versions import code_key
from anabranch.formats.arrow import hold_less
from anabranch.formats.survey import survey
from anabranch.run.cluster import job_of
from anabranch.run.mapping import map_parts
from anabranch.run.reporting import concluded
from tasks.files import convert_part, look_at_files, unpack_slices
from tasks.pipeline import agree_on_types, apply_part


@flow(name="run-pipeline", retries=0)  # parts are retried; the setting for all flows would run what failed for good
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
    hold_less()
    check(source, output, options)
    job = job_of(source, output, options, run)
    listing = listed(replace(job, refresh=job.refresh or options.stateful))
    looks = survey(listing, map_parts(unpack_slices, listing, run), job, code_key())
    known = gathered(looks, map_parts(look_at_files, looks, run), job)
    types = agreeing(known, job.threads)
    types.save()
    probe = probing(agreed(known, map_parts(agree_on_types, types, run)))
    probe.save()
    pipeline = applying(
        probe, map_parts(apply_part, probe, run), job.threads, 0.0 if cluster_address(run) else START_SECONDS
    )
    pipeline = results(pipeline, map_parts(apply_part, pipeline, run), job.threads)
    while pipeline.parts:  # once, unless rows turn out to need wider types than was known
        pipeline.save()
        pipeline = settle(pipeline, map_parts(convert_part, pipeline, run), job.threads)
    return join(pipeline)


if __name__ == "__main__":  # python -m flows.pipeline …: the command
    from anabranch.command.cli import become

    become(run_pipeline.name)
