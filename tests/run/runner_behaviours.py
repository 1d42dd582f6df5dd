"""What Prefect promises of tasks, each promise one function that a flow calls and whose answer a test checks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import allow_failure, flow, tags, unmapped
from prefect.futures import as_completed, wait

from tests.run import runner_tasks as tasks
from tests.run.runner_tasks import note, noted


def map_in_order(_folder: str) -> Any:
    return tasks.logged.map(range(3)).result()


def partial_failure(_folder: str) -> Any:
    futures = tasks.fail_if_odd.map(range(6))
    wait(futures)
    return [future.state.type.value for future in futures]


def allow_failure_in_list(_folder: str) -> Any:
    futures = tasks.fail_if_odd.map(range(6))
    return tasks.total.submit([allow_failure(future) for future in futures]).result()


def failed_input(_folder: str) -> Any:
    failed = tasks.fail_if_odd.submit(1)
    return _name_of(tasks.add.submit(failed, 1))


def failed_wait_for(_folder: str) -> Any:
    failed = tasks.fail_if_odd.submit(1)
    return _name_of(tasks.add.submit(1, 1, wait_for=[failed]))


def allow_failure_in_wait_for(_folder: str) -> Any:
    failed = tasks.fail_if_odd.submit(1)
    return tasks.add.submit(1, 1, wait_for=[allow_failure(failed)]).result()


def return_state(_folder: str) -> Any:
    state = tasks.fail_if_odd.submit(1, return_state=True)
    return state.type.value, repr(state.result(raise_on_failure=False))


def retries(folder: str) -> Any:
    return tasks.third_time_lucky.map(range(2), folder=unmapped(folder)).result()


def retry_condition(folder: str) -> Any:
    return _name_of(tasks.hopeless.submit(folder)), noted(folder, "hopeless")


def cache(folder: str) -> Any:
    first = tasks.cached.map([1, 2, 3], folder=unmapped(folder)).result()
    again = tasks.cached.map([1, 2, 3], folder=unmapped(folder))
    results, executed = again.result(), noted(folder, "cached")
    refreshed = tasks.cached.with_options(refresh_cache=True).submit(1, folder).result()
    return first == results, {future.state.name for future in again}, executed, refreshed, noted(folder, "cached")


def rollback(folder: str) -> Any:
    path = Path(folder) / "written"
    return _name_of(tasks.fail_after_write.submit(str(path))), path.exists()


def timeout(_folder: str) -> Any:
    return _name_of(tasks.too_slow.submit())


def chained_maps(_folder: str) -> Any:
    ones = tasks.add.map([1, 2, 3], unmapped(1))
    return tasks.total.submit(tasks.add.map(ones, ones)).result()


def completion_order(_folder: str) -> Any:
    return sorted(future.result() for future in as_completed(list(tasks.add.map([1, 2, 3], unmapped(1)))))


def hooks(folder: str) -> Any:
    def hook(_task: Any, _run: Any, state: Any) -> None:
        note(folder, f"hook-{state.name}")

    hooked = tasks.fail_if_odd.with_options(on_failure=[hook], on_completion=[hook])
    wait(list(hooked.map([0, 1, 2])))
    return noted(folder, "hook-Completed"), noted(folder, "hook-Failed")


def artifacts(_folder: str) -> Any:
    return tasks.publish.map(range(3)).result()


def concurrency_limit(_folder: str) -> Any:
    return sorted(future.result() for future in [tasks.one_at_a_time.submit() for _ in range(2)])


def nested_task(_folder: str) -> Any:
    return tasks.parent.submit(1).result()


def subflow(_folder: str) -> Any:
    return tasks.call_subflow.submit(2).result()


def async_task(_folder: str) -> Any:
    return tasks.double_later.map([1, 2]).result()


def identity(_folder: str) -> Any:
    with tags("left", "right"):
        tagged = [tasks.introduce.submit() for _ in range(3)]
    plain = tasks.introduce.submit()
    return [(str(future.task_run_id), future.result()) for future in (*tagged, plain)]


def unreadable_exception(_folder: str) -> Any:
    future = tasks.raise_only_here.submit()
    future.wait()
    return future.state.name, future.state.message


BEHAVIOURS: dict[str, Callable[[str], Any]] = {
    each.__name__: each
    for each in (
        map_in_order, partial_failure, allow_failure_in_list, failed_input, failed_wait_for, allow_failure_in_wait_for,
        return_state, retries, retry_condition, cache, rollback, timeout, chained_maps, completion_order, hooks,
        artifacts, concurrency_limit, nested_task, subflow, async_task, identity, unreadable_exception,
    )
}  # fmt: skip


@flow
def show_all(folder: str) -> dict[str, Any]:
    """Try every behaviour in one flow run; an exception is an answer too."""
    return {name: _answer(behaviour, folder) for name, behaviour in BEHAVIOURS.items()}


def _answer(behaviour: Callable[[str], Any], folder: str) -> Any:
    try:
        return behaviour(folder)
    except Exception as error:  # noqa: BLE001  each test must see its own answer, and not that of another
        return error


def _name_of(future: Any) -> str:
    future.wait()
    return str(future.state.name)
