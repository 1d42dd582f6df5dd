"""What of Prefect's settings goes to the workers of a cluster, and whether they reach the API with it.

Workers may be on other machines: a path of this machine means nothing there, and what they do not need, such as the
password of a server's database, they do not get.
"""

import asyncio
import pickle
from typing import Any

import cloudpickle
from prefect.client.orchestration import get_client
from prefect.context import SettingsContext, get_settings_context
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH

from anabranch.run.payload import Unseen

GROUPS = ("api", "client", "cloud", "events", "flows", "logging", "results", "tasks")
PATHS = (("api", "ssl_cert_file"), ("logging", "config_path"), ("results", "local_storage_path"))
REACH_SECONDS = 8.0  # in which a worker gets an answer of the API
REMEDY = (
    "Let Anabranch's own server listen where all workers reach it, with `anabranch up --host ADDRESS`, or name a "
    "server that they reach in PREFECT_API_URL."
)


def travelling_settings(every: dict[str, Any], **client: Any) -> dict[str, Any]:
    """Return the profile and those of all settings that workers get, with these settings of the client instead."""
    settings = {group: dict(every[group]) for group in GROUPS if group in every}
    for group, name in PATHS:
        settings.get(group, {}).pop(name, None)
    # a worker would ask for the server's version, and refuse to work without it; the flow has asked already
    settings["client"] = {**settings.get("client", {}), "server_version_check_enabled": False, **client}
    return {"profile": {"name": "anabranch", "settings": {}}, "settings": settings}


def without_local_storage(result_store: dict[str, Any]) -> dict[str, Any]:
    """Return the result store of a flow run without the default place of results, a folder of this machine.

    Tasks whose results are to be read elsewhere name a place of their own, as those of `map_parts`.
    """
    place = result_store.get("result_storage")
    if isinstance(place, dict) and place.get("basepath") == str(PREFECT_LOCAL_STORAGE_PATH.value()):
        return {name: value for name, value in result_store.items() if name != "result_storage"}
    return result_store


def to_try_with() -> Unseen:
    """Pack the settings with which a worker is to try whether it reaches the API, once and within REACH_SECONDS."""
    tried = travelling_settings(get_settings_context().serialize()["settings"], max_retries=0)
    tried["settings"]["api"] = {**tried["settings"]["api"], "request_timeout": REACH_SECONDS}
    return Unseen(cloudpickle.dumps(tried))


async def reach(settings: bytes) -> str:
    """Return why this worker gets no answer of the API; in a thread, since the worker's own must not stand still."""
    return await asyncio.to_thread(ask_for_version, settings)


def ask_for_version(settings: bytes) -> str:
    """Return why the API does not answer a client with these settings; nothing where it does."""
    try:
        # Prefect's client retries nothing before it was connected once
        with SettingsContext(**pickle.loads(settings)), get_client(sync_client=True) as client:  # noqa: S301  our own
            client.api_version()
    except Exception as error:  # noqa: BLE001  what a worker cannot load is the reason as well
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return ""
