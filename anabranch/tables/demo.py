"""The demo of import-table: a CSV file with duplicates and mistakes goes into a table of SQLite, once."""

from pathlib import Path

from anabranch.core.demo import Run, Say, Show, Steps
from anabranch.core.storage import published

ROWS = 1000
_CITIES = ("Łódź", "Saint-Étienne", "São Paulo", "Ghent")


def demo(folder: Path) -> Steps:
    """Write a sample of people, import it twice, and show what was rejected."""
    people, base = folder / "people.csv", folder / "crm.db"
    yield Say(f"writing a sample of {ROWS:,} people: {people}")
    with published(people) as file:
        file.write(_sample().encode())
    base.unlink(missing_ok=True)
    words = ("import-table", str(people), "--into", f"sqlite:///{base}", "--table", "people", "--key", "email")
    chosen = ("--mapping", str(_mapping(folder)), "--create-table", "--on-duplicate", "skip")
    yield Run((*words, *chosen), expected=(3,))
    yield Show(f"--- {people}.rejects.csv, to be corrected and imported:")
    yield Show(Path(f"{people}.rejects.csv").read_text("utf-8").rstrip())
    yield Say("the same command once more:")
    yield Run((*words, *chosen))
    yield Run(("imports", "list", "--into", f"sqlite:///{base}"))


def _mapping(folder: Path) -> Path:
    path = folder / "people.mapping.yaml"
    with published(path) as file:
        file.write(
            b"columns:\n  email: {source: E-Mail, type: varchar(40), nullable: false}\n"
            b"  name: {source: Name}\n  born: {source: Born, type: date, formats: ['%d.%m.%Y']}\n"
            b"  city: {source: City}\n  visits: {source: Visits, type: integer}\n"
        )
    return path


def _sample() -> str:
    lines = ["E-Mail,Name,Born,City,Visits"]
    for number in range(ROWS):
        day, month, year = number % 28 + 1, number % 12 + 1, 1950 + number % 50
        email = f"p{number % 990}@example.org" if number != 7 else ""  # noqa: PLR2004  ten repeat an earlier one
        born = f"{day:02}.{month:02}.{year}" if number != 250 else "30.02.1999"  # noqa: PLR2004
        visits = {400: "many", 600: "3000000000"}.get(number, str(number % 17))
        lines.append(f'{email},"Person ""{number}""",{born},{_CITIES[number % 4]},{visits}')
    return "\n".join(lines) + "\n"
