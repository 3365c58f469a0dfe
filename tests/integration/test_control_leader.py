"""The leader's lock on a real PostgreSQL, between real processes."""

from __future__ import annotations

import sys
import threading

import psycopg
import pytest

from noria.core.control.lock import PostgresLeaderLock
from noria.core.errors import Unavailable
from support.processes import Processes
from support.waiting import wait_until

HOLDER = """
import sys, time
from noria.core.control.lock import PostgresLeaderLock
lock = PostgresLeaderLock(sys.argv[1])
print("held" if lock.try_acquire() else "refused", flush=True)
time.sleep(600)
"""


def test_one_leader_at_a_time(postgres_url: str) -> None:
    """While one server leads, another is not let in; after the first lets go it is."""
    first, second = PostgresLeaderLock(postgres_url), PostgresLeaderLock(postgres_url)
    answers = [first.try_acquire(), first.try_acquire(), second.try_acquire()]
    held = [first.is_held(), second.is_held()]
    first.release()
    after = [second.try_acquire(), first.is_held()]
    second.release()

    assert answers == [True, True, False]
    assert held == [True, False]
    assert after == [True, False]


def test_a_server_that_stands_by_takes_over_from_a_killed_one(
    postgres_url: str, processes: Processes
) -> None:
    """A server that waits leads as soon as the leader's process is killed."""
    leader = processes.start([sys.executable, "-c", HOLDER, postgres_url], name="leader")
    leader.wait_for_output("held")
    lock, led = PostgresLeaderLock(postgres_url), threading.Event()

    def stand_by() -> None:
        if lock.wait(threading.Event(), poll_s=0.05):
            led.set()

    thread = threading.Thread(target=stand_by, daemon=True)
    thread.start()
    wait_until(lambda: _sessions(postgres_url) == 2)
    too_early = led.is_set()
    leader.kill()
    thread.join(30)

    assert not too_early
    assert led.is_set()
    lock.release()


def test_standing_by_can_be_ended(postgres_url: str) -> None:
    """A server that waits ends its wait when it is told to stop."""
    leader, stopping = PostgresLeaderLock(postgres_url), threading.Event()
    leader.try_acquire()
    answers: list[bool] = []
    waiting = PostgresLeaderLock(postgres_url)
    thread = threading.Thread(target=lambda: answers.append(waiting.wait(stopping, poll_s=60)), daemon=True)
    thread.start()
    wait_until(lambda: _sessions(postgres_url) == 2)
    stopping.set()
    thread.join(30)
    leader.release()
    waiting.release()

    assert answers == [False]


def test_a_lost_connection_is_a_lost_lock(postgres_url: str) -> None:
    """When the database ends the leader's session it no longer leads, and can lead again."""
    lock = PostgresLeaderLock(postgres_url)
    lock.try_acquire()
    with psycopg.connect(_plain(postgres_url), autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'noria-control' and datname = current_database()"
        )
    held = lock.is_held()
    again = lock.try_acquire()
    lock.release()

    assert not held
    assert again


def test_a_database_that_is_gone_is_told() -> None:
    """A lock on a server that does not answer is unavailable, and standing by for it can be ended."""
    lock, stopping = PostgresLeaderLock("postgresql+psycopg://noria:x@127.0.0.1:1/noria"), threading.Event()
    with pytest.raises(Unavailable, match="The database of the control loop does not answer"):
        lock.try_acquire()
    thread = threading.Thread(target=lock.wait, args=(stopping, 0.01), daemon=True)
    thread.start()
    stopping.set()
    thread.join(30)

    assert not thread.is_alive()
    assert not lock.is_held()


def _sessions(url: str) -> int:
    """Count the sessions of those who hold the lock or stand by for it."""
    with psycopg.connect(_plain(url), autocommit=True) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity "
            "where application_name = 'noria-control' and datname = current_database()"
        ).fetchone()
    return int(row[0]) if row else 0


def _plain(url: str) -> str:
    return url.replace("+psycopg", "")
