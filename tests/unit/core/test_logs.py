"""What Noria's processes log."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from noria.core.logs import JsonLines, TerminalLines, configure_logging


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Give the package's logger; its settings and the root's are put back."""
    root, package = logging.getLogger(), logging.getLogger("noria")
    before = (root.handlers[:], root.level, package.level)
    yield package
    root.handlers[:], root.level, package.level = before


def record(message: str, **extra: object) -> logging.LogRecord:
    """Make a record."""
    made = logging.makeLogRecord(
        {"name": "noria.test", "levelno": logging.INFO, "levelname": "INFO", "msg": message}
    )
    vars(made).update(extra)
    return made


def test_a_line_for_programs_is_one_json_object() -> None:
    """Event, level, logger, time and the event's own keys, whatever their types."""
    line = json.loads(JsonLines().format(record("run.finished", run_id="x", duration_s=1.5, odd=object)))

    assert line["event"] == "run.finished"
    assert line["level"] == "info"
    assert (line["run_id"], line["duration_s"]) == ("x", 1.5)
    assert line["odd"] == str(object)
    assert line["at"].endswith("Z")


def test_a_line_for_people_is_short() -> None:
    """Time, event and keys; the level only when it matters."""
    text = TerminalLines().format(record("run.finished", run_id="x"))
    warning = record("disk.low")
    warning.levelno, warning.levelname = logging.WARNING, "WARNING"

    assert text.endswith("run.finished run_id=x")
    assert "info" not in text
    assert "warning: disk.low" in TerminalLines().format(warning)


@pytest.mark.parametrize("layout", [JsonLines(), TerminalLines()])
def test_an_exception_is_told_whole(layout: logging.Formatter) -> None:
    """The traceback is part of the line's event."""
    try:
        raise ValueError("inside")
    except ValueError:
        failed = record("job.failed")
        failed.exc_info = sys.exc_info()

    assert "ValueError: inside" in layout.format(failed)


def test_a_process_logs_its_own_and_the_warnings_of_others(logger: logging.Logger) -> None:
    """Noria's events from the level asked for; of other libraries only what is wrong."""
    stream = io.StringIO()
    configure_logging(stream=stream)
    logger.info("ours")
    logger.debug("ours, in detail")
    logging.getLogger("another.library").info("theirs")
    logging.getLogger("another.library").warning("their warning")
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]

    assert events == ["ours", "their warning"]
