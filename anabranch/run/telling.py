"""Tell the server how a run goes, in a thread of its own and within limits: no work, and no user, waits for a server.

Prefect's clients try each request for a minute, and several minutes where a server accepts it and then says nothing.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Any

import httpx
from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.context import SettingsContext, SyncClientContext, get_settings_context
from prefect.exceptions import Abort
from prefect.settings import PREFECT_API_URL

from anabranch.core.errors import SetupError
from anabranch.run.api import AT_ONCE, BusyError, RefusedError, call

END_SECONDS = 20.0  # for what is left to tell when the work is done
ANSWER_SECONDS = 10.0  # in which any server that does not hang answers
RETRIES = 2  # of a request, after 2 and 4 s
INCOMPLETE = (
    "the history of this run is incomplete: the Prefect server did not answer. Nothing else is affected; see the "
    "server's log, and `anabranch status`."
)


class Teller:
    """Carries out reports, one at a time; one that still waits gives way to a later one of the same name."""

    def __init__(self) -> None:
        self.unanswered = False
        self._waiting: dict[str, Callable[[], object]] = {}
        self._changed = threading.Condition()
        self._busy = self._over = False
        self._thread: threading.Thread | None = None

    def tell(self, name: str, report: Callable[[], object]) -> None:
        """Carry out the report soon, and return at once."""
        with self._changed:
            self._waiting[name] = report
            self._changed.notify_all()
            if self._thread is None:  # with the run's context: its settings, its client, its logger
                target = copy_context().run
                self._thread = threading.Thread(target=target, args=(self._go_on,), name="telling", daemon=True)
                self._thread.start()

    def finish(self, seconds: float = END_SECONDS) -> bool:
        """Wait until all is sent; return whether the server has heard it."""
        answers = server_answers()
        with self._changed:
            in_time = answers and self._changed.wait_for(lambda: not self._waiting and not self._busy, seconds)
            self._waiting.clear()
            self.unanswered |= not in_time
        return not self.unanswered

    def close(self) -> None:
        """End the thread after the report that it is carrying out."""
        with self._changed:
            self._over = True
            self._waiting.clear()
            self._changed.notify_all()

    def _go_on(self) -> None:
        set_retries(RETRIES)
        while report := self._next():
            silent = False
            try:
                report()
            except Exception as error:  # noqa: BLE001  a server that refuses a report must not undo the work
                silent = isinstance(error, httpx.TransportError)
                get_run_logger().warning("this is missing from the run's page: %s", error)
            with self._changed:
                self._busy, self.unanswered = False, silent
                if silent:  # what waits would not be heard, either
                    self._waiting.clear()
                self._changed.notify_all()

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over)
            if not self._waiting:
                return None
            self._busy = True
            return self._waiting.pop(next(iter(self._waiting)))


_teller: ContextVar[Teller | None] = ContextVar("teller", default=None)


@contextmanager
def telling() -> Iterator[Teller]:
    """Within the block, which is a flow run, `tell` leaves its reports to the teller that is yielded."""
    teller = Teller()
    token = _teller.set(teller)
    try:
        yield teller
    finally:
        teller.close()
        _teller.reset(token)


def tell(name: str, report: Callable[[], object]) -> None:
    """Carry out the report soon; at once where there is no teller, and then an error is logged, too."""
    if teller := _teller.get():
        teller.tell(name, report)
        return
    try:
        report()
    except Exception as error:  # noqa: BLE001  as above
        get_run_logger().warning("this is missing from the run's page: %s", error)


@dataclass(slots=True)
class End:
    """How a run ended by its own account, before the server has heard of it, and whether it has."""

    state: State[Any] | None = None
    told: bool = True

    def as_json(self) -> str:
        """Return the state as the API takes it."""
        assert self.state is not None  # noqa: S101  only a run that has ended is reported
        return json.dumps({"type": self.state.type.value, "name": self.state.name, "message": self.state.message})


_end: ContextVar[End | None] = ContextVar("end", default=None)


@contextmanager
def remembering() -> Iterator[End]:
    """Yield what holds the state in which the flow of the block ends, even if the server is never told."""
    end = End()
    token = _end.set(end)
    try:
        yield end
    finally:
        _end.reset(token)


def end_with(state: State[Any], *, answers: bool) -> State[Any]:
    """Return the state in which the run ends; if it is remembered and no server answers, end it without telling.

    A run that a Prefect worker started is not remembered: its worker waits for the server as well.
    """
    if end := _end.get():
        end.state = state
        if not answers:
            raise Abort  # for which the flow's engine asks nothing of the server
        _be_quick()
    return state


def server_answers() -> bool:
    """Whether the server answers at all; one that refuses the question does."""
    try:
        call(f"{PREFECT_API_URL.value()}/health", timeout=ANSWER_SECONDS, pauses=AT_ONCE)
    except RefusedError:
        return True
    except BusyError as error:
        return bool(error.status)
    except SetupError:
        return False
    return True


def set_retries(retries: int) -> None:
    """Set how often a failed request is repeated, from here to the end of this context."""
    now = get_settings_context()
    client = now.settings.client.model_copy(update={"max_retries": retries})
    SettingsContext(profile=now.profile, settings=now.settings.model_copy(update={"client": client})).__enter__()


def _be_quick() -> None:
    """Limit the requests of the flow's engine from here on: it reads the settings for each, and has one client."""
    set_retries(RETRIES)
    if context := SyncClientContext.get():
        context.client._client.timeout = httpx.Timeout(END_SECONDS)  # noqa: SLF001  there is no other way to it
