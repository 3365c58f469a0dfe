"""The test servers and processes that other tests stand on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, inspect, text

from support.browser import Browser
from support.ports import free_port, is_listening
from support.processes import MARK, Processes
from support.waiting import wait_until

LISTEN = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready")
time.sleep(600)
"""


def test_each_database_is_empty_and_answers(database_url: str) -> None:
    """A fresh database holds no table and answers a query, on SQLite and on PostgreSQL."""
    engine = create_engine(database_url)
    try:
        with engine.begin() as connection:
            tables = inspect(connection).get_table_names()
            connection.execute(text("create table left_behind (n integer)"))
            answer = connection.execute(text("select 1")).scalar_one()
    finally:
        engine.dispose()

    assert tables == []
    assert answer == 1


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_postgres_database_is_not_shared_between_tests(postgres_url: str, attempt: int) -> None:
    """What one test writes to PostgreSQL, the next one does not find."""
    engine = create_engine(postgres_url)
    try:
        with engine.begin() as connection:
            connection.execute(text("create table only_mine (n integer)"))
            version = connection.execute(text("show server_version")).scalar_one()
    finally:
        engine.dispose()

    assert int(version.split(".")[0]) >= 13


def test_no_process_outlives_its_test(processes: Processes, tmp_path: Path) -> None:
    """A child that hides in a session of its own is ended together with the child that started it."""
    note = tmp_path / "pid"
    child = (
        "import pathlib, subprocess, sys\n"
        "hidden = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "pathlib.Path(sys.argv[1]).write_text(str(hidden.pid))\n"
        "print('started', flush=True)\n"
        "hidden.wait()\n"
    )
    parent = processes.start([sys.executable, "-c", child, note], name="parent")
    parent.wait_for_output("started")
    hidden = psutil.Process(int(note.read_text()))
    processes.end_all()

    assert not parent.running
    wait_until(lambda: not _alive(hidden), 10, "the hidden child lives on")


def test_a_server_process_is_reached_and_killed_like_a_crash(processes: Processes) -> None:
    """A started server answers on its port until it is killed, and its log is there to read."""
    port = free_port()
    server = processes.start([sys.executable, "-c", LISTEN, str(port)], name="listener")
    server.wait_for_output("ready")
    reached = is_listening(port)
    code = server.kill()

    assert reached
    assert code == -9
    assert not is_listening(port)
    assert server.output() == "ready\n"


def test_waiting_for_the_output_of_a_dead_process_tells_what_it_wrote(processes: Processes) -> None:
    """Waiting for a line fails at once when the process ends without it, and shows its output."""
    child = processes.start([sys.executable, "-c", "raise SystemExit('no such port')"], name="broken")

    with pytest.raises(AssertionError, match=r"`broken` ended \(1\) before it wrote `ready`:\nno such port"):
        child.wait_for_output("ready")


def test_wait_until_gives_the_value_or_the_message() -> None:
    """Waiting gives back the true value, and at the limit an assertion that says what was waited for."""
    looks = iter([0, 0, 7])
    value = wait_until(lambda: next(looks), 30, "never seven")

    with pytest.raises(AssertionError, match=r"^never \(waited 0 s\)$"):
        wait_until(lambda: False, 0, "never")

    assert value == 7


def test_the_users_own_settings_are_out_of_reach(clean_environment: Path, processes: Processes) -> None:
    """A test and its processes see an empty home folder and no setting of the person who runs the tests."""
    show = "import os, pathlib; print(pathlib.Path.home(), sorted(n for n in os.environ if n.startswith('NORIA_')))"
    child = processes.start([sys.executable, "-c", show], name="show")

    assert child.wait() == 0
    assert child.output() == f"{clean_environment} []\n"
    assert MARK not in os.environ
    assert list(clean_environment.iterdir()) == []


def test_the_browser_shows_a_page_and_hears_its_complaints(browser: Browser, tmp_path: Path) -> None:
    """A real browser runs the page's script, takes a picture, and keeps each error that the page gives rise to."""
    broken = tmp_path / "page.html"
    broken.write_text("<h1 id=a>one</h1><script>a.textContent = 'two'; throw new Error('lost')</script>")
    browser.page.goto(broken.as_uri())
    heading = browser.page.text_content("h1")
    picture = browser.page.screenshot()
    complaints = list(browser.complaints)
    browser.complaints.clear()

    assert heading == "two"
    assert picture.startswith(b"\x89PNG")
    assert complaints == ["script: lost"]


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
