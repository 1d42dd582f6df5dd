"""Over generated tables, files and policies, an import equals the records inserted one after another."""

import uuid
from datetime import date
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.tables.history import Counts
from anabranch.tables.secrets import open_store
from anabranch.tables.transaction import carry_out
from tests.examples import examples
from tests.tables.importing import BAD, facts, fill, job_of, target_of
from tests.tables.reference import Reference

VALUES = {
    "text": st.sampled_from(["a", "A", "b", "", " a", "ä", "a\u0308", "it's"]),
    "bigint": st.integers(-1, 2),
    "numeric(6,2)": st.sampled_from(["0.10", "1.50", "-2.00"]).map(Decimal),
    "date": st.sampled_from([date(2024, 2, 29), date(1, 1, 1)]),
}


@st.composite
def imports(draw):
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=3))
    names = [f"k{place}" for place in range(len(kinds))]
    required = [draw(st.booleans()) for _ in kinds]
    row = st.tuples(
        *(VALUES[kind] if strict else st.none() | VALUES[kind] for kind, strict in zip(kinds, required, strict=True)),
        st.none() | st.integers(0, 1),
    )
    columns = [
        f"{name} {kind}{' not null' * strict}" for name, kind, strict in zip(names, kinds, required, strict=True)
    ]
    return {
        "columns": ", ".join([*columns, "v integer"]),
        "key": tuple(draw(st.permutations(names))),
        "existing": draw(st.lists(row, max_size=5)),
        "parts": draw(st.lists(st.lists(row | st.just(BAD), max_size=5), min_size=1, max_size=4)),
        "on_duplicate": draw(st.sampled_from(["skip", "update", "fail", "report", "allow"])),
        "null_keys": draw(st.sampled_from(["distinct", "equal"])),
    }


def index_of(case, *, postgres):
    if postgres:
        nulls = "NOT DISTINCT" if case["null_keys"] == "equal" else "DISTINCT"
        return f"({', '.join(case['key'])}) NULLS {nulls}"
    if case["null_keys"] == "distinct":
        return f"({', '.join(case['key'])})"
    return f"({', '.join(f'coalesce({name}, char(1))' for name in case['key'])})"


def found(result, folder):
    """Collect the duplicates that the report lists."""
    path = folder / "file0.csv.duplicates.parquet"
    if str(path) not in result.outputs:
        return {}
    return {row["record"]: row["first_row"] for row in pq.read_table(path).to_pylist()}


def everything(store, table):
    return sorted(store.rows(f"SELECT * FROM {table}"), key=repr)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@examples(16)
@given(case=imports())
def test_an_import_equals_records_inserted_one_after_another(kind, case, request, tmp_path):
    url = request.getfixturevalue(kind)
    folder = tmp_path / uuid.uuid4().hex
    folder.mkdir()
    same = ("IS NOT DISTINCT FROM" if kind == "postgres" else "IS") if case["null_keys"] == "equal" else "="
    with open_store(url) as store:
        if kind == "sqlite":
            store.run("PRAGMA synchronous = OFF")
        for table in ("t", "r", "c", "anabranch_imports"):
            store.run(f"DROP TABLE IF EXISTS {table}")
        proposal = target_of(case["columns"], "t")
        store.run(store.create_sql(proposal))
        fill(
            store,
            proposal.table,
            [tuple(None if cell is None else str(cell) for cell in row) for row in case["existing"]],
        )
        target = store.describe(proposal.table)
        store.run("BEGIN")
        reference = Reference(store, list(target.named), case["key"], same, index_of(case, postgres=kind == "postgres"))
        policy = case["on_duplicate"]
        for number, record in enumerate((record for part in case["parts"] for record in part), 1):
            reference.insert(number, record, policy)
        store.run("COMMIT")
        before = everything(store, "t")
        choices = {name: case[name] for name in ("key", "on_duplicate", "null_keys")}
        job, pieces = job_of(folder, target, [case["parts"]], **choices, validate=True)
        foreseen = carry_out(store, job, pieces)
        assert everything(store, "t") == before
        job, pieces = job_of(folder, target, [case["parts"]], **choices)
        done = carry_out(store, job, pieces)

        written = done.status == "committed"
        assert found(done, folder) == found(foreseen, folder) == reference.duplicates
        assert everything(store, "t") == (everything(store, "r") if written else before)
        assert (foreseen.error is None) == (done.error is None)
        assert (done.status == "aborted") == (policy == "fail" and bool(reference.duplicates))
        total, expected = Counts.total(done.counts), Counts.total(foreseen.counts)
        assert {**facts(foreseen), "accepted": 0} == {**facts(done), "accepted": 0}
        assert total.accepted == (expected.would_accept if written else 0)
        assert total.duplicates_in_table == sum(other is None for other in reference.duplicates.values())
        if policy == "update":
            assert total.updated + total.unchanged == total.duplicates_in_table
