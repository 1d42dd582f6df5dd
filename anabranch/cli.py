"""The `anabranch` command. Its own --help imports no workload, and no command imports Prefect before it runs a flow."""

import sys
from importlib.metadata import version

from cyclopts import App, CycloptsError

from anabranch.errors import as_ours
from anabranch.workloads import WORKLOADS

USAGE, STOPPED = 2, 5  # exit codes

app = App(
    name="anabranch",
    help="Split archives, chunks and files into parts, run them on all cores or a Dask cluster, rejoin them in order.",
    version=lambda: version("anabranch"),
)
for workload in WORKLOADS:
    app.command(f"anabranch.command:{workload.command}", name=workload.name, help=workload.help)
app.command("anabranch.operate:up", name="up", help="Start the Prefect server, deploy the flows, start a worker.")
app.command("anabranch.operate:down", name="down", help="Stop the worker and the server that `up` started.")
app.command("anabranch.operate:status", name="status", help="Show the server, the worker and the deployments.")
app.command("anabranch.operate:doctor", name="doctor", help="Check versions, folders, the server and the cluster.")
app.command("anabranch.operate:demo", name="demo", help="Make a sample archive and parse it.")


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit: 0 done, 1 failed, 2 usage, 3 partly failed, 4 nothing to do, 5 stopped."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        print(f"error: {error} See `anabranch --help`.", file=sys.stderr)
        code = USAGE
    except KeyboardInterrupt:
        print("stopped. Run the same command again to resume.", file=sys.stderr)
        code = STOPPED
    except Exception as error:
        if "--debug" in words:
            raise
        ours = as_ours(error)
        print(f"error: {ours}", file=sys.stderr)
        code = ours.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
