"""All commands by name; help imports no workload, and no command imports Prefect before it runs a flow."""

from importlib.metadata import version

from cyclopts import App

from anabranch.command.workloads import WORKLOADS

app = App(
    name="anabranch",
    help="Split archives, chunks and files into parts, run them on all cores or a Dask cluster, rejoin them in order.",
    version=lambda: version("anabranch"),
    suppress_keyboard_interrupt=False,
)
for workload in WORKLOADS:
    app.command(f"anabranch.command.command:{workload.command}", name=workload.name, help=workload.help)
app.command(
    "anabranch.command.operate:up", name="up", help="Start the Prefect server, deploy the flows, start a worker."
)
app.command("anabranch.command.operate:down", name="down", help="Stop the worker and the server that `up` started.")
app.command("anabranch.command.operate:status", name="status", help="Show the server, the worker and the deployments.")
app.command(
    "anabranch.command.operate:doctor", name="doctor", help="Check versions, folders, the server and the cluster."
)
app.command("anabranch.command.operate:demo", name="demo", help="Make a sample archive and parse it.")
