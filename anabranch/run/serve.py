"""Make the application of our own server, for uvicorn: Prefect's behind our door. `anabranch.run.server` starts it."""

import os

from prefect.server.api.server import create_app

from anabranch.run.door import Door


def app() -> Door:
    """Return the application; the secret is Prefect's own setting."""
    return Door(create_app(final=True), os.environ["PREFECT_SERVER_API_AUTH_STRING"])
