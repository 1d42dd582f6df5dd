"""What a shop does with its orders, record by record."""

from typing import Any

Record = dict[str, Any]


def large(order: Record) -> Record | None:
    """Keep the large orders, with their tax."""
    if order["amount"] < 90:
        return None
    return {**order, "tax": round(order["amount"] * 0.25, 2)}


def by_city(order: Record, state: dict[str, float]) -> None:
    """Add an order to the sum of its city; nothing is written."""
    state[order["city"]] = state.get(order["city"], 0) + order["amount"]


def added(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """Merge the sums of two runs of orders."""
    return {city: one.get(city, 0) + other.get(city, 0) for city in {**one, **other}}
