"""Show a file of a run without running it: text, tables, images and figures by their beginnings. Pure.

Nothing here imports a table library: a server shows what plain Python can read, and says how to read the rest.
"""

from __future__ import annotations

import contextlib
import csv
import enum
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import msgspec

MAX_TEXT_BYTES = 256 << 10
"""Of a text that is longer the beginning is shown."""
MAX_JSON_BYTES = 4 << 20
"""Of a table or figure in JSON, which can only be read whole."""
MAX_IMAGE_BYTES = 32 << 20
MAX_ROWS = 100
MAX_COLUMNS = 60
MAX_CELL_CHARS = 400

IMAGE_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
"""Kinds of images. Inside an `img` an SVG neither runs scripts nor loads anything."""

HTML_ENDINGS = (".html", ".htm")


class Kind(enum.StrEnum):
    """How a file is shown."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    DIFF = "diff"
    CONSOLE = "console"
    TABLE = "table"
    IMAGE = "image"
    FIGURE = "figure"
    PARQUET = "parquet"
    TOO_LARGE = "too_large"
    BINARY = "binary"


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePreview:
    """The beginning of a table.

    Attributes
    ----------
    columns
        Names, some of them left out where there are many.
    rows
        Cells as text.
    n_columns
        How many columns there are.
    n_rows
        How many rows there are; None when nobody counted.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_columns: int
    n_rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What is shown of a file.

    Attributes
    ----------
    kind
        How.
    text
        Of a text, its beginning.
    is_cut
        Whether there is more than is shown.
    table
        Of a table.
    """

    kind: Kind
    text: str = ""
    is_cut: bool = False
    table: TablePreview | None = None


def bytes_needed(path: str, size_bytes: int) -> int:
    """Give how many bytes of a file its preview is made of; 0 when none.

    Examples
    --------
    >>> bytes_needed("a.png", 100), bytes_needed("a.txt", 100), bytes_needed("a.json", 1 << 30)
    (0, 100, 262144)
    """
    ending = _ending(path)
    if ending in IMAGE_TYPES or ending == ".parquet":
        return 0
    most = MAX_JSON_BYTES if ending == ".json" and size_bytes <= MAX_JSON_BYTES else MAX_TEXT_BYTES
    return min(size_bytes, most)


def preview(path: str, size_bytes: int, data: bytes) -> Preview:
    """Make the preview of a file.

    Parameters
    ----------
    data
        Its first bytes, as many as `bytes_needed` says.
    """
    ending = _ending(path)
    if ending in IMAGE_TYPES:
        return Preview(kind=Kind.IMAGE if size_bytes <= MAX_IMAGE_BYTES else Kind.TOO_LARGE)
    if ending == ".parquet":
        return Preview(kind=Kind.PARQUET)
    is_cut = len(data) < size_bytes
    text = _decoded(data, is_cut=is_cut)
    if text is None:
        return Preview(kind=Kind.BINARY)
    if ending == ".json" and not is_cut:
        return _json_preview(data, text)
    if ending in (".csv", ".tsv"):
        return _csv_preview(text, "\t" if ending == ".tsv" else ",", is_cut=is_cut)
    kinds = {
        ".md": Kind.MARKDOWN,
        ".diff": Kind.DIFF,
        ".patch": Kind.DIFF,
        ".log": Kind.CONSOLE,
        **dict.fromkeys(HTML_ENDINGS, Kind.HTML),
    }
    return _text_preview(text, kinds.get(ending, Kind.TEXT), is_cut=is_cut)


def _ending(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _decoded(data: bytes, *, is_cut: bool) -> str | None:
    """Read bytes as text; None when they are none."""
    if b"\x00" in data[:8192]:
        return None
    for shorter in range(4 if is_cut else 1):  # a character may be cut at the end
        with contextlib.suppress(UnicodeDecodeError):
            return data[: len(data) - shorter].decode("utf-8-sig")
    return None


def _text_preview(text: str, kind: Kind, *, is_cut: bool) -> Preview:
    shown = text[:MAX_TEXT_BYTES]
    return Preview(kind=kind, text=shown, is_cut=is_cut or len(shown) < len(text))


def _json_preview(data: bytes, text: str) -> Preview:
    try:
        told = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return _text_preview(text, Kind.TEXT, is_cut=False)
    if isinstance(told, dict):
        columns, rows = told.get("columns"), told.get("data")
        if (
            isinstance(columns, list)
            and isinstance(rows, list)
            and all(isinstance(row, list) for row in rows)
        ):
            return Preview(kind=Kind.TABLE, table=table_of(columns, rows[:MAX_ROWS], n_rows=len(rows)))
        if _is_figure(told):
            return _text_preview(_indented(data), Kind.FIGURE, is_cut=False)
    return _text_preview(_indented(data), Kind.TEXT, is_cut=False)


def _is_figure(told: dict[str, Any]) -> bool:
    """Tell whether this is a figure of Plotly."""
    traces = told.get("data")
    return (
        isinstance(told.get("layout"), dict)
        and isinstance(traces, list)
        and all(isinstance(trace, dict) for trace in traces)
    )


def _indented(data: bytes) -> str:
    return msgspec.json.format(data, indent=2).decode()


def _csv_preview(text: str, separator: str, *, is_cut: bool) -> Preview:
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    found: list[list[str]] = []
    try:
        for row in reader:
            found.append(row)
            if len(found) > MAX_ROWS + 1:
                break
    except csv.Error:
        return _text_preview(text, Kind.TEXT, is_cut=is_cut)
    if not found or not found[0]:
        return _text_preview(text, Kind.TEXT, is_cut=is_cut)
    has_more = is_cut or len(found) > MAX_ROWS + 1
    if is_cut and len(found) <= MAX_ROWS + 1:
        found = found[:-1] or found  # the last line may be half
    rows = found[1 : MAX_ROWS + 1]
    return Preview(
        kind=Kind.TABLE,
        is_cut=has_more,
        table=table_of(found[0], rows, n_rows=None if has_more else len(found) - 1),
    )


def table_of(columns: Sequence[Any], rows: Sequence[Sequence[Any]], *, n_rows: int | None) -> TablePreview:
    """Make the preview of a table out of its first rows."""
    width = min(len(columns), MAX_COLUMNS)
    return TablePreview(
        columns=tuple(_cell(name) for name in columns[:width]),
        rows=tuple(tuple(_cell(row[i]) if i < len(row) else "" for i in range(width)) for row in rows),
        n_columns=len(columns),
        n_rows=n_rows,
    )


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_CELL_CHARS else text[: MAX_CELL_CHARS - 1] + "…"
