"""The command `notify`: post to a webhook when a run of a deployment fails."""

import os
from typing import Annotated

from cyclopts import Parameter

from anabranch.core.errors import SetupError, UsageError
from anabranch.run import notifying
from anabranch.run.server import ensure_server

Webhook = Annotated[str | None, Parameter(help="Address of the webhook, or env:NAME of a variable that holds it.")]
Off = Annotated[bool, Parameter(name="--off", negative="", help="Notify no longer, and forget the webhook.")]


def notify(webhook: Webhook = None, /, *, off: Off = False) -> int:
    """Post a sentence to a webhook (Slack, Mattermost, Teams) whenever a run of a deployment has failed.

    An automation of the Prefect server does it, so the page Automations shows it, too. Repeated, another webhook
    replaces the one before.
    """
    if off == (webhook is not None):
        raise UsageError("bad-option", "name a webhook, or --off", "Example: anabranch notify env:WEBHOOK")
    if webhook is None:
        print("notifications are off" if notifying.stop_notifying(ensure_server()) else "notifications were off")
        return 0
    notifying.notify(ensure_server(), _address(webhook))
    print("failed runs of deployments are posted to the webhook")
    return 0


def _address(webhook: str) -> str:
    address = webhook
    if webhook.startswith("env:"):
        address = os.environ.get(webhook.removeprefix("env:"), "")
        if not address:
            raise SetupError("no-secret", "the variable is not set", "Set it to the webhook's address.", webhook)
    if not address.startswith(("http://", "https://")):  # not repeated: it gives the right to post
        raise UsageError("bad-option", "the webhook is not an http address", "Copy it from the service that offers it.")
    return address
