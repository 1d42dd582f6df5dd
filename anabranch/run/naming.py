"""What runs are called and tagged, so that a list of them says what each does: flow, source, and mode or destination.

Nothing here imports Prefect before a flow runs.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from anabranch.core.argument_files import expanded
from anabranch.core.errors import UsageError
from anabranch.core.storage import shown

AD_HOC, DETACHED, RETRY = "ad-hoc", "detached", "retry"  # tags: by a command, handed over by one, or started again
ABOUT = {  # for each flow the option or parameter that its runs are named after, and the word before it
    "parse-logs": ("mode", ""),
    "convert-files": ("to", "to "),
    "run-pipeline": ("function", "through "),
    "upload-files": ("output", "to "),
    "extract-gps": ("output", "to "),
    "import-table": ("table", "into "),
}
_LONGEST = 60  # characters of each part of a name
_GREEK = (
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|"
    "nu|xi|omicron|pi|rho|sigma|tau|upsilon|phi|chi|psi|omega"
)
_BY_FORM = re.compile(rf"(?:{_GREEK})\d*-[a-z-]+")  # made up by the form of the UI: gamma81-iadora-z


def name_of(flow: str, parameters: Mapping[str, Any]) -> str:
    """Name a run after its parameters, such as `parse-logs nightly.tar.bz2 md`; nothing secret is in it."""
    source = parameters.get("source") or []
    with suppress(UsageError):  # a list of sources that is gone ends the run, and not its naming
        source = expanded(source)
    option, word = ABOUT.get(flow, ("", ""))
    options = parameters.get("options") or {}
    value = options.get(option) if isinstance(options, Mapping) else getattr(options, option, None)
    if option == "output" and (output := parameters.get("output")):
        value = place_name(str(output), whole=True)
    about = ",".join(value) if isinstance(value, list) else value
    return " ".join(filter(None, [flow, _sources(source), about and f"{word}{_short(str(about))}"]))


def place_name(place: str, *, whole: bool = False) -> str:
    """Return what a path or URL ends with, or with `whole` where a URL leads, without user, password and query."""
    if "://" not in place:
        return shown(PurePath(place).name or place)
    try:
        address = urlsplit(place.partition("::")[0])
    except ValueError:
        return "URL"
    server = address.netloc.rpartition("@")[2]
    if whole:
        return shown(f"{address.scheme}://{server}")
    return shown(PurePath(address.path).name or server)


def run_name() -> str:
    """Return the name of the flow run that starts, for which Prefect asks; one that a person gave stays."""
    from prefect.context import FlowRunContext  # noqa: PLC0415

    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow is None:
        raise RuntimeError("no flow is running")
    flow, given = context.flow.name, context.flow_run.name
    if _is_made_up(given) or given.startswith(f"{flow} "):
        return name_of(flow, context.parameters or {})
    return given


def _is_made_up(name: str) -> bool:
    """Whether Prefect made up a name: the form of the UI, or its client and server, of an adjective and an animal."""
    from coolname.data import config  # noqa: PLC0415  the words that Prefect draws from

    lists: Mapping[str, Any] = config

    def has(kind: str, word: str) -> bool:
        return any(word in lists[one]["words"] for one in lists[kind]["lists"])

    first, _, second = name.partition("-")
    return (has("adj_any", first) and has("subj", second)) or _BY_FORM.fullmatch(name) is not None


def started_by(run: Mapping[str, Any]) -> str:
    """Return what started a run, as the server describes it: a schedule, a command, a form of the UI, or a program."""
    if run.get("auto_scheduled"):
        return "schedule"
    words = {AD_HOC: "command", DETACHED: "detached command", RETRY: "retry"}
    for tag, word in words.items():
        if tag in run["tags"]:
            return word
    return "form" if run["deployment_id"] else "program"


def _sources(source: Sequence[str]) -> str:
    if not source:
        return ""
    more = f" and {len(source) - 1:,} more" if len(source) > 1 else ""
    return _short(place_name(source[0])) + more


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
