"""Count what the processes of a model server log, and show the newest line of each, where a kill takes none away."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import msgspec

from noria.core.logs import event_line
from noria.serving.modelserver.board import LINE_BYTES, Page, Word
from noria.serving.plans import LogLine
from noria.tracking.redaction import redact

_TEXT_CHARS: Final = 300
"""Of a line that are kept: with escapes of JSON it is to fit into the page."""

_decoder = msgspec.json.Decoder(LogLine)


class LogCounter(logging.Handler):
    """Counts warnings and errors on the page of this process, and keeps the newest line of them there.

    Parameters
    ----------
    page
        Of this process; handlers call `emit` one at a time.
    """

    def __init__(self, page: Page) -> None:
        super().__init__(logging.WARNING)
        self._page = page

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record."""
        is_error = record.levelno >= logging.ERROR
        self._page.words[Word.N_LOG_ERRORS if is_error else Word.N_LOG_WARNINGS] += 1
        try:
            self._page.write_line(_encoded(record, is_error=is_error))
        except Exception:  # noqa: BLE001 - what cannot be shown is counted, and logging it would come here again
            self.handleError(record)


@contextmanager
def counting(page: Page) -> Iterator[None]:
    """Count what this process logs on a page, as long as the context lasts."""
    root, counter = logging.getLogger(), LogCounter(page)
    root.addHandler(counter)
    try:
        yield
    finally:
        root.removeHandler(counter)


def newest_line(pages: Iterable[Page]) -> LogLine | None:
    """Give the newest line of some processes; None when none of them warned of anything."""
    lines = (page.read_line() for page in pages)
    found = [_decoder.decode(line) for line in lines if line is not None]
    return max(found, key=lambda line: line.at, default=None)


def _encoded(record: logging.LogRecord, *, is_error: bool) -> bytes:
    at = datetime.fromtimestamp(record.created, UTC)
    text = redact(event_line(record))
    n_chars = _TEXT_CHARS
    while True:
        line = LogLine(at=at, level="error" if is_error else "warning", text=text[:n_chars])
        encoded = msgspec.json.encode(line)
        if len(encoded) <= LINE_BYTES:
            return encoded
        n_chars //= 2
