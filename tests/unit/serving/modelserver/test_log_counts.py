"""Lines that a process of a model server logs are counted where a kill takes none away."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys

import pytest

from noria.serving.modelserver.board import Board, Word
from noria.serving.modelserver.log_counts import counting, newest_line

LOGS_AND_DIES = """
import logging, os, signal, sys
from noria.serving.modelserver.board import Board
from noria.serving.modelserver.log_counts import counting

with counting(Board(int(sys.argv[1]), 3).pages[1]):
    logging.getLogger("noria.test").error("worker.lost", extra={"n": 7})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_warnings_and_errors_are_counted_apart() -> None:
    """Whoever logs them, and only while the context lasts; the newest line of all processes is shown."""
    board = Board.create(3)
    log = logging.getLogger("someone.elses")
    with counting(board.pages[0]), counting(board.pages[1]):
        log.info("fine")
        log.warning("hm %s", 1)
        log.error("model.raised", extra={"version": "flowers@3"})
    log.error("not counted")

    words = board.pages[0].words
    assert (words[Word.N_LOG_WARNINGS], words[Word.N_LOG_ERRORS]) == (1, 1)
    found = newest_line(board.pages)
    assert found is not None
    assert (found.level, found.text) == ("error", "model.raised version=flowers@3")


def test_a_killed_process_leaves_its_counts_and_its_last_line() -> None:
    """As much as it logged; the page that the next process gets keeps them too."""
    board = Board.create(3)
    ran = subprocess.run(
        [sys.executable, "-c", LOGS_AND_DIES, str(board.fd)],
        pass_fds=[board.fd],
        capture_output=True,
        check=False,
    )
    board.pages[1].clear()
    found = newest_line(board.pages)

    assert ran.returncode == -signal.SIGKILL
    assert board.pages[1].words[Word.N_LOG_ERRORS] == 1
    assert found is not None
    assert found.text == "worker.lost n=7"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("key=" + "\x00é\U0001f600" * 4000, "key=", id="long"),
        pytest.param("password=hunter2 failed", "password=*** failed", id="secret"),
        pytest.param("two\nlines", "two lines", id="lines"),
        pytest.param("", "", id="empty"),
    ],
)
def test_any_line_fits_and_names_no_secret(text: str, shown: str) -> None:
    """What is long is cut off, and what was raised stands behind the event."""
    board = Board.create(2)
    with counting(board.pages[0]):
        logging.getLogger("x").error(text)
    found = newest_line(board.pages)

    assert found is not None
    assert found.text.startswith(shown)
    assert "hunter2" not in found.text


def test_what_was_raised_is_told() -> None:
    """In the line of the event, without its traceback."""
    board = Board.create(2)
    with counting(board.pages[0]):
        try:
            int("seven")
        except ValueError as error:
            logging.getLogger("x").error("model.raised", exc_info=error)
    found = newest_line(board.pages)

    assert found is not None
    assert found.text == "model.raised ValueError: invalid literal for int() with base 10: 'seven'"


def test_a_line_that_is_just_being_written_is_not_shown() -> None:
    """Its bytes do not have the sum that they should."""
    board = Board.create(2)
    board.pages[0].write_line(b'{"half"')
    os.pwrite(board.fd, b"!", 262)

    assert newest_line(board.pages) is None
