"""What a run wrote to its console: the end of it first, with its colours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from noria.core.errors import Invalid
from noria.core.web.pages import Page, Visit
from noria.tracking.ansi import Piece, pieces
from noria.tracking.capture import CONSOLE_PATH
from noria.tracking.limits import shorten
from noria.tracking.pages_run_frame import RunContext, read_run, run_frame, run_path
from noria.tracking.permissions import READ_RUNS
from noria.tracking.run_files import find_file, read_bytes

PAGE_BYTES = 64 << 10
"""Of output that is shown at once, cut at a line's end."""

_PLACE = re.compile(r"\d{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleContext(RunContext):
    """What the page of a run's console shows.

    Attributes
    ----------
    output
        Pieces of text of one style each.
    is_kept
        Whether there is any output.
    size_bytes
        Of all of it.
    kept_at
        When it last came in.
    shown_from, shown_to
        Which bytes are shown.
    earlier, later, last
        Further pages; None where there is nothing.
    download_url
        Gives all of it.
    """

    output: tuple[Piece, ...]
    is_kept: bool
    size_bytes: int
    kept_at: datetime | None
    shown_from: int
    shown_to: int
    earlier: str | None
    later: str | None
    last: str | None
    download_url: str | None


def console(visit: Visit) -> ConsoleContext:
    """Gather the output that ends before a place, or the end of all."""
    run = read_run(visit)
    file = find_file(visit, run, CONSOLE_PATH)
    size_bytes = file.size_bytes if file else 0
    begin, end = _bounds(visit, size_bytes)
    margin = min(begin, 1)  # a line begins behind a line's end
    data = read_bytes(visit, file, begin - margin, end - begin + margin) if file else b""
    begin, end, shown = whole_lines(data, begin - margin, size_bytes)
    urls = visit.urls
    return ConsoleContext(
        **run_frame(visit, run, "console"),
        output=tuple(pieces(shown.decode(errors="replace"))),
        is_kept=file is not None,
        size_bytes=size_bytes,
        kept_at=file.at if file else None,
        shown_from=begin,
        shown_to=end,
        earlier=urls.run(run.project, run.id, "console", before=str(begin)) if begin else None,
        later=urls.run(run.project, run.id, "console", **{"from": str(end)}) if end < size_bytes else None,
        last=urls.run(run.project, run.id, "console") if end < size_bytes else None,
        download_url=urls.run_file(run.project, run.id, CONSOLE_PATH) if file else None,
    )


def _bounds(visit: Visit, size_bytes: int) -> tuple[int, int]:
    before, begin = _place(visit, "before"), _place(visit, "from")
    if begin is not None:
        start = min(begin, size_bytes)
        return start, min(start + PAGE_BYTES, size_bytes)
    end = size_bytes if before is None else min(before, size_bytes)
    return max(0, end - PAGE_BYTES), end


def _place(visit: Visit, name: str) -> int | None:
    given = visit.parameters.get(name)
    if given is None:
        return None
    if not _PLACE.fullmatch(given):
        raise Invalid(
            f"`{name}={shorten(given)}` is no place in the output", hint="Leave it out to see the end"
        )
    return int(given)


def whole_lines(data: bytes, begin: int, size_bytes: int) -> tuple[int, int, bytes]:
    r"""Leave half a line at either end to the page that it belongs to; a line longer than a page is parted.

    Parameters
    ----------
    data
        A part of the output; unless it begins at 0, with one byte before what shall be shown.
    begin
        Its place in the whole.

    Examples
    --------
    >>> whole_lines(b"b\ncc\nd", 1, 9)
    (3, 6, b'cc\n')
    """
    if begin:
        skipped = data.find(b"\n", 0, -1) + 1 or 1
        data, begin = data[skipped:], begin + skipped
    end = begin + len(data)
    if end < size_bytes and (last := data.rfind(b"\n")) >= 0:
        data, end = data[: last + 1], begin + last + 1
    return begin, end, data


PAGES = (
    Page(
        path=run_path("console"),
        needs=READ_RUNS,
        template="noria.tracking/run_console.html",
        build=console,
        query=("before", "from"),
    ),
)
