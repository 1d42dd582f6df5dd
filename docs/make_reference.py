"""Write docs/reference.md from the program itself: python docs/make_reference.py. A test compares the two."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from anabranch.command import demo, notify, operate, status, verify
from anabranch.command.app import RUNS
from anabranch.command.command import choices, shown_default, spoken
from anabranch.command.request import FLAGS
from anabranch.command.workloads import WORKLOADS, load
from anabranch.core.config import RunOptions

TARGET = Path(__file__).parent / "reference.md"
EXITS = {
    0: "all parts done (warnings allowed), or nothing to do",
    1: "the run failed",
    2: "usage: the command or the form is wrong, and nothing was done",
    3: "some parts failed beyond `--tolerate`; the rest is joined",
    4: "nothing to do, with `--error-on-empty`",
    5: "stopped or temporary: the same command resumes",
}
VARIABLES = {
    "PREFECT_API_URL": "the Prefect server to use; without it, Anabranch's own background server. Only the variable "
    "counts: an address in a Prefect profile (`prefect config set PREFECT_API_URL=…`) does not",
    "ANABRANCH_CLUSTER": "the Dask scheduler to use where `--cluster` is not given",
    "ANABRANCH_WORK_DIR": "the folder for work files where `--work-dir` is not given; default `~/.cache/anabranch`",
    "ANABRANCH_PARALLEL": "true or false: whether `bulk_convert` and `pipeline` use several threads where `parallel` "
    "is not given; default false",
    "ANABRANCH_WORKERS": "how many they use where `workers` is not given; default one per core",
    "ANABRANCH_PARALLEL_MODE": "auto, thread, process or inline, where `parallel_mode` is not given; default auto",
    "ANABRANCH_CHUNK_SIZE": "records at a time where `chunk_size` is not given; default 1000",
    "ANABRANCH_UPLOADS_PRESET": "limits of `upload-files` that fit together, where `--preset` is not given: "
    "conservative, balanced or aggressive. The variables of single limits win over it",
    "ANABRANCH_PARTS_IN_FLIGHT": "parts that one worker process of `upload-files` sends at the same time, or auto, "
    "where `--parts-in-flight` is not given; default 8",
    "ANABRANCH_UPLOADS": "files that all runs of `upload-files` send at the same time; default 20. Set, it changes the "
    "limit that the server keeps",
    "ANABRANCH_UPLOADS_PER_USER": "the same for each user; default 3",
    "ANABRANCH_MAX_MEMORY": "share of the memory above which `upload-files` begins no file, where `--max-memory` is "
    "not given; default 80%",
    "ANABRANCH_HISTORY_DAYS": "how many days the background server keeps a run that has ended, with its log and "
    "report; the server reads it when it starts; default 90",
    "ANABRANCH_STATE_DIR": "the folder of the background server and worker; default `~/.local/state/anabranch`",
}


def render() -> str:
    """Return the text of the reference."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Reference\n\nMade from the program by `make docs`; a test keeps the two equal."
    for workload in WORKLOADS:
        flow = workload.flow.replace(":", ".")
        yield f"\n## anabranch {workload.name} SOURCE… [options]\n\n{workload.summary}\n"
        yield f"```console\n$ {workload.example}\n```\n\nSOURCE: {workload.source}\n"
        yield f"The flow is `{flow}`; its parameters are `source`, `output`, `options` and `run`.\n"
        described = {"output": workload.output, **_described(load(workload.options))}
        described.pop(workload.further_outputs, None)  # which --output fills
        yield from _table("option", described)
        if workload.extras:
            yield ""
            yield from (f"- `anabranch {extra.name}`: {extra.help}" for extra in workload.extras)
    yield "\n## Options of every flow\n"
    yield from _table("option", _described(RunOptions))
    yield "\n## Options of the command alone\n"
    yield from _table("option", FLAGS)
    yield "\n## Commands about the house\n"
    for command in (
        operate.up,
        operate.deploy,
        operate.init,
        operate.down,
        status.status,
        verify.verify,
        operate.doctor,
        notify.notify,
        operate.explain,
        operate.completion,
        demo.demo,
    ):
        yield f"- `anabranch {command.__name__}`: {(command.__doc__ or '').partition(chr(10))[0]}"
    yield from (f"- `anabranch runs {name}`: {text}" for name, (_, text) in RUNS.items())
    yield "\n## Exit codes\n"
    yield from (f"- {code}: {text}" for code, text in EXITS.items())
    yield "\n## Environment variables\n"
    yield from (f"- `{name}`: {text}" for name, text in VARIABLES.items())


def _described(model: type[BaseModel]) -> dict[str, str]:
    found = {}
    for field_name, field in model.model_fields.items():
        name = spoken(field_name, field)
        several, default = choices(field), shown_default(field)
        of = f" Of: {', '.join(several)}." if several else ""
        found[name] = f"{field.description}{of}{f' Default: `{default}`.' if default else ''}"
    return found


def _table(head: str, rows: dict[str, str]) -> Iterator[str]:
    yield f"| {head} | |\n|---|---|"
    yield from (f"| `--{name.replace('_', '-')}` | {text} |" for name, text in rows.items())


if __name__ == "__main__":
    TARGET.write_text(render())
