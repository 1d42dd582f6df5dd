"""What an import wrote, compared with the table later."""

import pytest

from anabranch.core.verifying import verify_file
from anabranch.tables.secrets import open_store
from anabranch.tables.verifying import verify
from tests.tables.importing import made, target_of
from tests.tables.running import run


@pytest.mark.parametrize(("statement", "state"), [
    ("UPDATE people SET name = 'x'", "as_recorded"),  # as other programs may
    ("INSERT INTO people VALUES (9, 'i')", "as_recorded"),
    ("DELETE FROM people WHERE id > 1", "changed"),
    ("DELETE FROM anabranch_imports", "changed"),
    ("DROP TABLE people", "missing"),
])  # fmt: skip
def test_a_table_is_held_against_its_history_and_its_number_of_rows(database, tmp_path, statement, state):
    made(database, target_of("id bigint not null, name text"))
    (tmp_path / "a.csv").write_text("id,name\n1,a\n2,b\nx,c\n")
    options = {"into": database, "table": "people"}
    table, *reports = run(tmp_path / "a.csv", tmp_path, **options).written
    assert (table.rows, len(reports)) == (2, 2)
    assert [one.state for one in verify([table], {"options": options})] == ["as_recorded"]

    with open_store(database) as store:
        store.run(statement)

    assert [one.state for one in verify([table], {"options": options})] == [state]
    assert [verify_file(one).state for one in reports] == ["as_recorded"] * 2
