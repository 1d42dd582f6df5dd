"""Tell people about runs that failed: an automation of the Prefect server calls a webhook.

It counts runs of deployments, by their tag: a person in front of a terminal sees how a command ends.
"""

from typing import Any

from anabranch.core.errors import SetupError
from anabranch.run.api import NOT_FOUND, RefusedError, call, page_of

NAME, TAG = "anabranch-failures", "anabranch"  # of block and automation; the tag that our deployments have
STATES = ("Failed", "PartlyFailed", "Crashed", "TimedOut")
_SENTENCE = "flow_run.name ~ ' ended as ' ~ flow_run.state.name ~ ': ' ~ (flow_run.state.message or 'no message')"


def notify(url: str, webhook: str) -> None:
    """Let the server at `url` post a sentence to a webhook whenever a run of a deployment has failed.

    Can be repeated: another webhook replaces the one before. Its address is kept as a secret, in a block.
    """
    automation = _automation(url, _keep_webhook(url, webhook))
    if known := _known(url):
        call(f"{url}/automations/{known['id']}", automation, method="PUT")
    else:
        call(f"{url}/automations/", automation)


def stop_notifying(url: str) -> bool:
    """Remove the automation and the webhook's address; return whether there was one."""
    known, block = _known(url), _known_block(url)
    if known:
        call(f"{url}/automations/{known['id']}", method="DELETE")
    if block:
        call(f"{url}/block_documents/{block['id']}", method="DELETE")
    return bool(known)


def _automation(url: str, block: str) -> dict[str, Any]:
    """Describe the automation as the API takes it; `block` is the id of the webhook's block."""
    text = f"{_SENTENCE} ~ ' {page_of(url, '')}' ~ flow_run.id"
    payload = f'{{"text": {{{{ ({text}) | tojson }}}}}}'  # which Slack, Mattermost, Teams and others take
    trigger = {
        "type": "event",
        "posture": "Reactive",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"},
        "for_each": ["prefect.resource.id"],
        "expect": [f"prefect.flow-run.{state}" for state in STATES],
        "threshold": 1,
        "within": 0,
    }
    return {
        "name": NAME,
        "description": "Post to a webhook when a run of a deployment has failed; made by `anabranch notify`.",
        "enabled": True,
        "trigger": trigger,
        "actions": [{"type": "call-webhook", "block_document_id": block, "payload": payload}],
    }


def _known(url: str) -> dict[str, Any] | None:
    found = call(f"{url}/automations/filter", {"automations": {"name": {"any_": [NAME]}}})
    return found[0] if found else None


def _known_block(url: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = call(f"{url}/block_types/slug/webhook/block_documents/name/{NAME}")
    except RefusedError as error:
        if error.status != NOT_FOUND:
            raise
        return None
    return found


def _keep_webhook(url: str, webhook: str) -> str:
    """Put the address into a block, which encrypts it; return the block's id."""
    data = {"url": webhook, "method": "POST", "headers": {"Content-Type": "application/json"}}
    if known := _known_block(url):
        call(f"{url}/block_documents/{known['id']}", {"data": data}, method="PATCH")
        return str(known["id"])
    kind = call(f"{url}/block_types/slug/webhook")["id"]
    schemas = call(f"{url}/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind]}}})
    if not schemas:
        raise SetupError("server-refused", f"the server at {url} knows no webhooks", "Use Prefect's own server.")
    wish = {"name": NAME, "block_type_id": kind, "block_schema_id": schemas[0]["id"], "data": data}
    return str(call(f"{url}/block_documents/", wish)["id"])
