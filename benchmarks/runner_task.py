"""The task that benchmarks/runner.py maps, in a module of its own so that workers import it by name."""

from prefect import task


@task
def square(number: int) -> int:
    """Return the square: no work to speak of, so that the time is overhead."""
    return number * number
