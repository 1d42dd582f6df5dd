"""Options hold the name of a secret, or an address without one."""

import pytest

from anabranch.core.errors import SetupError, UsageError
from anabranch.tables.secrets import check_address, open_store, resolve
from anabranch.tables.target import TableName

PASSWORD = "hunter-2"


@pytest.mark.parametrize("address", [
    f"postgresql://me:{PASSWORD}@host/base",
    f"postgres://:{PASSWORD}@host/base",
    f"postgresql://host/base?password={PASSWORD}",
    f"postgresql://host/base?sslmode=prefer&sslPassword={PASSWORD}",
    f"host=x password={PASSWORD}",
    f"mysql://me:{PASSWORD}@host/base",
])  # fmt: skip
def test_a_password_in_the_address_is_refused_and_not_repeated(address):
    with pytest.raises(UsageError) as caught:
        check_address(address)

    assert PASSWORD not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize("address", [
    "env:SHOP_DB", "block:shop", "postgresql://me@host:5432/base?sslmode=require", "postgresql:///base?service=shop",
])  # fmt: skip
def test_an_address_without_a_secret_travels_as_it_is(address):
    assert check_address(address) == address


def test_a_file_of_sqlite_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert check_address("sqlite:///my base%20é.db") == f"sqlite:///{tmp_path}/my%20base%20%C3%A9.db"
    assert check_address(check_address("sqlite:///x.db")) == check_address("sqlite:///x.db")
    with open_store(check_address("sqlite:///x%20y.db")) as store:
        store.run("CREATE TABLE a (b TEXT)")
    assert (tmp_path / "x y.db").exists()


@pytest.mark.parametrize("address", ["sqlite:///", "sqlite://x.db", "sqlite:///:memory:", "people.db", ""])
def test_what_names_no_database_is_a_usage_error(address):
    with pytest.raises(UsageError, match="database-address"):
        check_address(address)


def test_a_secret_is_resolved_where_it_is_used(monkeypatch):
    monkeypatch.setenv("SHOP_DB", f"postgresql://me:{PASSWORD}@host/base")

    assert PASSWORD in resolve("env:SHOP_DB")
    assert resolve("block:shop", lambda name: f"block {name}") == "block shop"
    assert resolve("sqlite:////x.db") == "sqlite:////x.db"
    with pytest.raises(SetupError, match="NOWHERE is not set"):
        resolve("env:NOWHERE")
    with pytest.raises(UsageError, match="no-block"):
        resolve("block:shop")


@pytest.mark.parametrize("secret", [f"host=x {PASSWORD}", f"postgresql://me:{PASSWORD}@[x/base",
                                    f"postgresql://me:{PASSWORD}@127.0.0.1:1/base"])  # fmt: skip
def test_no_error_of_a_connection_repeats_the_password(secret):
    with pytest.raises((UsageError, SetupError, Exception)) as caught:
        open_store(secret)

    assert PASSWORD not in f"{caught.value!r} {caught.value}"


def test_the_reason_of_a_refused_database_is_said(postgres_server):
    with pytest.raises(SetupError, match='database "nowhere" does not exist'):
        open_store(postgres_server.url("nowhere"))


def test_a_role_with_few_rights_suffices(postgres, tmp_path):
    from tests.tables.importing import contents, facts, imported, made, target_of

    target = made(postgres, target_of("id bigint not null, name text"), [(1, "old")])
    with open_store(postgres) as store:
        store.run("CREATE ROLE clerk LOGIN")
        store.run("GRANT SELECT, INSERT ON people TO clerk")
    try:
        clerk = postgres.replace("postgres@", "clerk@")
        part = [(1, "again"), (2, "two")]
        with pytest.raises(SetupError, match=r"CREATE TABLE .*anabranch_imports.* --no-history"):
            imported(clerk, tmp_path, target, part, key=("id",), on_duplicate="skip")
        result = imported(clerk, tmp_path, target, part, key=("id",), on_duplicate="skip", history=False)
        with pytest.raises(SetupError, match="not-permitted"):
            imported(clerk, tmp_path, target, part, key=("id",), on_duplicate="update", history=False)
    finally:
        with open_store(postgres) as store:
            store.run("DROP OWNED BY clerk")
            store.run("DROP ROLE clerk")

    assert facts(result)["accepted"] == 1
    assert contents(postgres, "people") == [(1, "old"), (2, "two")]
    assert target.table == TableName("public", "people")
