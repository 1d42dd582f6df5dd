"""All commands by name; help imports no workload, and no command imports Prefect before it runs a flow."""

from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App

from anabranch.command.workloads import WORKLOADS, Workload

HELP = "Split archives, chunks and files into parts, run them on all cores or a Dask cluster, rejoin them in order."
COMMANDS = {  # besides those of the workloads
    "up": ("operate", "Start the Prefect server, deploy the flows, start a worker."),
    "deploy": ("operate", "Deploy the flows for a worker that runs elsewhere; schedules stay as they were switched."),
    "down": ("operate", "Stop the worker and the server that `up` started."),
    "init": ("operate", "Write prefect.yaml into this folder, to choose deployments and schedules yourself."),
    "notify": ("notify", "Post to a webhook when a run of a schedule, of a form or of --detach has failed."),
    "explain": ("operate", "Say more about an error code."),
    "completion": ("operate", "Print a script by which bash, zsh or fish completes commands and options."),
    "verify": ("verify", "Compare the outputs of a run with the sizes and checksums in its report."),
    "status": ("status", "Show the server, the deployments and the uploads under way, or one run."),
    "doctor": ("operate", "Check versions, folders, the server and the cluster."),
    "demo": ("demo", "Make sample input and run a workload on it."),
}

RUNS = {
    "list": ("list_all", "List the newest runs."),
    "show": ("show", "Show a run and its report."),
    "watch": ("watch", "Wait until a run has ended."),
    "retry": ("retry", "Run again what has ended; only what failed or is missing is done."),
    "cancel": ("cancel", "Ask a run to stop."),
}


def application(workloads: Sequence[Workload]) -> App:
    """Return the command line of these workloads."""
    made = App(
        name="anabranch",
        help=HELP,
        version=lambda: version("anabranch"),
        suppress_keyboard_interrupt=False,
    )
    for workload in workloads:
        made.command(f"anabranch.command.command:{workload.command}", name=workload.name, help=workload.help)
        _add_extras(made, workload)
    for name, (module, text) in COMMANDS.items():
        made.command(f"anabranch.command.{module}:{name}", name=name, help=text)
    history = App(name="runs", help="The runs that the server remembers: list, show, watch, retry, cancel.")
    made.command(history)
    for name, (function, text) in RUNS.items():
        history.command(f"anabranch.command.runs:{function}", name=name, help=text)
    return made


def _add_extras(made: App, workload: Workload) -> None:
    groups: dict[str, App] = {}
    for extra in workload.extras:
        group, _, name = extra.name.partition(" ")
        if group not in groups:
            names = [other.name.partition(" ")[2] for other in workload.extras if other.name.startswith(f"{group} ")]
            groups[group] = App(name=group, help=f"Of {workload.name}: {', '.join(names)}.")
            made.command(groups[group])
        path = f"anabranch.command.extras:{extra.function.replace(':', '.')}"
        groups[group].command(path, name=name, help=extra.help)


app = application(WORKLOADS)
