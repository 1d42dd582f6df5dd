"""Write four days of orders as orders/DAY.csv.gz: the same ones every time."""

import csv
import gzip
import random
from pathlib import Path

CITIES = ["Oslo", "Łódź", 'Frankfurt "Main"', "Washington, DC"]


def main() -> None:
    """Write the files."""
    Path("orders").mkdir(exist_ok=True)
    numbers = random.Random(7)  # noqa: S311  nothing secret
    for day in range(1, 5):
        with gzip.open(f"orders/2026-11-{day:02}.csv.gz", "wt", encoding="utf-8", newline="") as file:
            orders = csv.writer(file)
            orders.writerow(["order", "customer", "city", "amount"])
            for number in range(5000):
                customer = f"{numbers.randrange(10**5):05}"  # stays text: 00123 is not a number
                orders.writerow(
                    [day * 10_000 + number, customer, numbers.choice(CITIES), numbers.randrange(9999) / 100]
                )
            if day == 3:
                orders.writerow(["39999", "cut off"])


if __name__ == "__main__":
    main()
