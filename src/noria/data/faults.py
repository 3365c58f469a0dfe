"""Find the line at which a file of text stops being a table, for whoever has to mend it.

What reads tables is quick and tells what it met, not where. So a file that it refused is read once more, slowly.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}
_JSON_LINES: Final = (".ndjson", ".jsonl")
_MOST_LINES: Final = 10_000_000
"""So many are looked at: half a minute's work."""

_LONGEST_FIELD: Final = 1 << 27


def why_unreadable(path: Path, error: Exception) -> str:
    """Say in a sentence why a file cannot be read as a table: where its fault is, or else what was said of it.

    Parameters
    ----------
    error
        What reading it raised.
    """
    try:
        found = _fault_in(path)
    except OSError:
        found = None
    return found or (str(error).strip() or type(error).__name__).splitlines()[0]


def _fault_in(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix in _SEPARATORS:
        return _fault_in_fields(path, _SEPARATORS[suffix])
    return _fault_in_json_lines(path) if suffix in _JSON_LINES else None


def _fault_in_fields(path: Path, separator: str) -> str | None:
    begin = 1
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        rows = csv.reader(_text_lines(path), delimiter=separator, strict=True)
        n_fields = None
        for row in rows:
            n_fields = len(row) if n_fields is None else n_fields
            if len(row) > n_fields:
                return f"line {begin} has {len(row)} fields, and the first line {n_fields}"
            begin = rows.line_num + 1
    except csv.Error as error:
        if "unexpected end" in str(error):
            return f"the quotation mark in line {begin} is opened and never closed"
        return f"line {begin}: {error}"
    except _NotText as fault:
        return str(fault)
    finally:
        csv.field_size_limit(before)
    return "it is empty" if n_fields is None else None


def _fault_in_json_lines(path: Path) -> str | None:
    try:
        for number, line in enumerate(_text_lines(path), 1):
            if line.strip():
                try:
                    msgspec.json.decode(line)
                except msgspec.DecodeError as error:
                    return f"line {number} is not JSON: {error}"
    except _NotText as fault:
        return str(fault)
    return None


class _NotText(Exception):
    """A line cannot be decoded."""


def _text_lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for number, line in enumerate(itertools.islice(file, _MOST_LINES), 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise _NotText(f"line {number} is not UTF-8 from its byte {error.start + 1} on") from None
