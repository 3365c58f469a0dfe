"""Logging of Noria's own processes: one line an event, pretty on a terminal, JSON otherwise.

Libraries only name loggers; a process calls `configure_logging` once, at its start.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from noria.core.serialisation import to_json

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logging(*, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send what Noria logs to a stream, standard error by default; other libraries' warnings too."""
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(TerminalLines() if target.isatty() else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("noria").setLevel(level)


class JsonLines(logging.Formatter):
    """One JSON object a line: `at`, `level`, `event`, and the event's own keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Lay out a record."""
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= _facts(record)
        if record.exc_info and record.exc_info[0]:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return to_json({key: _plain(value) for key, value in line.items()}).decode()


class TerminalLines(logging.Formatter):
    """Time, event, and `key=value` for the rest."""

    def format(self, record: logging.LogRecord) -> str:
        """Lay out a record."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        text = f"{at} {level}{_with_facts(record)}"
        if record.exc_info and record.exc_info[0]:
            text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return text


def event_line(record: logging.LogRecord) -> str:
    """Give a record as one line: the event, `key=value` for the rest, and what was raised."""
    text = _with_facts(record)
    if record.exc_info and record.exc_info[1] is not None:
        raised = record.exc_info[1]
        text += f" {type(raised).__name__}: {raised}"
    return " ".join(text.split())


def _with_facts(record: logging.LogRecord) -> str:
    facts = " ".join(f"{key}={value}" for key, value in _facts(record).items())
    return f"{record.getMessage()} {facts}".rstrip()


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, datetime, type(None))) else str(value)
