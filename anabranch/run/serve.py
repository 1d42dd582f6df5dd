"""Make the application of our own server, for uvicorn: Prefect's behind our door. `anabranch.run.server` starts it."""

import gc
import os
import threading
import time
from typing import Any

from prefect.server.api.server import create_app
from prefect.server.database.configurations import AioSqliteConfiguration

from anabranch.run.api import THIS_MACHINE
from anabranch.run.door import Door
from anabranch.run.secret import HOST

COLLECT_SECONDS = 1.0  # between two looks for young garbage
FULL_COLLECTION = 60  # after so many of them, old garbage as well


def app() -> Door:
    """Return the application; the secret is Prefect's own setting."""
    lock_at_once()
    hosts = (*THIS_MACHINE, os.environ[HOST].lower())
    door = Door(create_app(final=True), os.environ["PREFECT_SERVER_API_AUTH_STRING"], hosts)
    collect_in_a_thread()
    return door


def lock_at_once() -> None:
    """Let transactions on SQLite that may write take the write lock when they begin, and so wait for it.

    By default they read first. If another one writes meanwhile, SQLite refuses the write at once, without waiting, and
    the server answers 503: ten runs submitted at once were refused so, over and over.
    """
    begin = AioSqliteConfiguration.begin_transaction

    def begin_transaction(self: AioSqliteConfiguration, session: Any, with_for_update: bool = False) -> Any:
        del with_for_update
        return begin(self, session, with_for_update=True)

    AioSqliteConfiguration.begin_transaction = begin_transaction  # type: ignore[method-assign]


def collect_in_a_thread() -> None:
    """Let a thread collect garbage, never the thread of the event loop, which could be blocked for a minute.

    Garbage may hold a cursor of SQLite. To free it, Python waits for the connection, which may be waiting for the
    database's write lock; the holder of that lock may need the event loop to go on.
    """
    gc.disable()
    gc.freeze()  # what was imported stays
    threading.Thread(target=_collect, name="garbage", daemon=True).start()


def _collect() -> None:
    while True:
        for _ in range(FULL_COLLECTION):
            time.sleep(COLLECT_SECONDS)
            gc.collect(1)
        gc.collect()
