"""What travels between a flow and Dask's workers: calls and final states, as bytes that only their receiver unpickles.

Dask would unpickle its arguments on the scheduler too, and again in its network code, where a class that is missing or
broken stops the whole connection. With bytes such a fault affects only its own task.
"""

import io
import pickle
from collections.abc import Sequence
from typing import Any

import cloudpickle
from prefect.client.schemas.objects import State
from prefect.utilities.annotations import BaseAnnotation


class Unseen(bytes):
    """Bytes that hold secrets: Dask logs the arguments of a call that fails, and shows only how many these are."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"

    __str__ = __repr__


def pack_call(call: object, future_type: type[Any]) -> tuple[bytes, list[Any]]:
    """Pickle a call; return it with the `dependency()` of each future in it, at any depth.

    Dask gets the dependencies as a plain list, so it need not know the containers that held the futures.
    """
    file, upstream = io.BytesIO(), list[Any]()
    _CallPickler(file, upstream, future_type).dump(call)
    return file.getvalue(), upstream


def unpack_call(packed: bytes, upstream: Sequence[bytes]) -> Any:
    """Unpickle a call, with the packed final states of its futures in their places."""
    return _CallUnpickler(io.BytesIO(packed), upstream).load()


def pack_state(state: State[Any]) -> bytes:
    """Pickle a final state and, separately, its data; an exception that cannot be pickled becomes its message."""
    try:
        data = cloudpickle.dumps(state.data)
    except Exception:
        if state.is_completed():
            raise
        data = pickle.dumps(RuntimeError(state.message))
    return pickle.dumps((state.model_copy(update={"data": None}), data))


def unpack_state(packed: bytes) -> State[Any]:
    """Unpickle a final state; an exception that cannot be unpickled becomes its message, a result raises."""
    state: State[Any]
    state, data = pickle.loads(packed)  # noqa: S301  from our own worker
    try:
        state.data = pickle.loads(data)  # noqa: S301
    except Exception:
        if state.is_completed():
            raise
        state.data = RuntimeError(state.message)
    return state


class _CallPickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    def __init__(self, file: io.BytesIO, upstream: list[Any], future_type: type[Any]) -> None:
        super().__init__(file)
        self._upstream, self._future_type = upstream, future_type

    def persistent_id(self, value: Any) -> int | None:
        if not isinstance(value, self._future_type):
            return None
        self._upstream.append(value.dependency())
        return len(self._upstream) - 1

    def reducer_override(self, value: Any) -> Any:
        # an annotation such as allow_failure is pickled as a tuple, which would wrap its value once more
        if isinstance(value, BaseAnnotation):
            return type(value), (value.unwrap(),)
        return super().reducer_override(value)


class _CallUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, upstream: Sequence[bytes]) -> None:
        super().__init__(file)
        self._upstream = upstream

    def persistent_load(self, index: int) -> State[Any]:
        return unpack_state(self._upstream[index])
