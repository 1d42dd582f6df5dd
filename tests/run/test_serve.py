"""Our own server does not stand still, and refuses no write that could wait, though its database is one file."""

import sqlite3
import subprocess
import sys

# A cursor that is garbage, whose connection waits for the write lock in a thread. The main thread makes garbage of its
# own, and gives the lock back afterwards: if it were to free the cursor, it would wait for the connection.
GARBAGE = """
import sqlite3, sys, threading, time
from anabranch.run.serve import collect_in_a_thread

holder, waiter = (sqlite3.connect(sys.argv[1], timeout=20, check_same_thread=False, isolation_level=None) for _ in "hw")
holder.execute("create table t (n)")
collect_in_a_thread()
cycle = [waiter.execute("select 1 union select 2")]
cycle.append(cycle)
del cycle
holder.execute("begin immediate")
waiting = threading.Thread(target=lambda: print(waiter.execute("begin immediate").rowcount, flush=True))
waiting.start()
time.sleep(1)
start, kept = time.monotonic(), []
while time.monotonic() - start < 2:
    kept.append([kept])
holder.execute("commit")
waiting.join()
"""


def test_garbage_that_must_wait_for_the_database_does_not_keep_the_event_loop_waiting(tmp_path):
    command = [sys.executable, "-c", GARBAGE, str(tmp_path / "db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.stderr == ""  # without the thread: database is locked, since no connection could commit


def test_a_transaction_that_may_write_waits_for_another_and_is_not_refused(tmp_path):
    code = f"""
import asyncio
from sqlalchemy import text
from prefect.server.database.configurations import AioSqliteConfiguration
from anabranch.run.serve import lock_at_once

lock_at_once()

async def add(database, engine):
    session = await database.session(engine)
    async with session, database.begin_transaction(session):
        (count,) = (await session.execute(text("select count(*) from t"))).one()
        await asyncio.sleep(0.1)
        await session.execute(text(f"insert into t values ({{count}})"))

async def main():
    database = AioSqliteConfiguration("sqlite+aiosqlite:///{tmp_path}/db")
    engine = await database.engine()
    async with engine.begin() as connection:
        await connection.execute(text("create table t (n)"))
    await asyncio.gather(*(add(database, engine) for _ in range(5)))
    await engine.dispose()

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code], check=True)

    with sqlite3.connect(tmp_path / "db") as database:
        assert database.execute("select n from t order by n").fetchall() == [(n,) for n in range(5)]
