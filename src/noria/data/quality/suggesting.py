"""Rules proposed from the profile of a version that is known to be good, as text for `noria.toml`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

from noria.data.profiling.entities import ColumnFigures, VersionProfile

MAX_VALUES = 20
_MAX_CODES = 31
_ROWS_PER_VALUE = 20
_MAX_DRIFT = 0.1
_SLACK = 0.1
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def suggest_rules(name: str, profile: VersionProfile, *, against: str) -> str:
    """Propose rules that the version keeps, with some room for the next ones.

    Parameters
    ----------
    name
        Of the dataset.
    profile
        Of the reference version.
    against
        The reference version, `orders@3`: distributions are compared with it.

    Returns
    -------
    str
        Tables of TOML, `[data.checks.NAME]` first. Numbers may leave the range seen by a tenth of its width, but not
        change their sign where none did; whole numbers with few values stay in it, and texts with few values keep to
        them. Twice the missing values and half of the rows are let pass.
    """
    lines = [f"[data.checks.{_key(name)}]", f"min_rows = {max(1, profile.n_rows // 2)}"]
    if profile.keys:
        lines.append(f"key = [{', '.join(_text(column) for column in profile.keys[0])}]")
    lines.append(f"against = {_text(against)}")
    for column, figures in profile.columns.items():
        lines += ["", f"[data.checks.{_key(name)}.columns.{_key(column)}]"]
        lines += _column(figures, keys=[key for key in profile.keys if column in key])
    return "\n".join(lines) + "\n"


def _column(figures: ColumnFigures, *, keys: list[tuple[str, ...]]) -> Iterator[str]:
    is_key = bool(keys)
    if figures.type:
        yield f"type = {_text(_type(figures))}"
    if figures.kind == "numeric" and not is_key:
        yield from _bounds(figures)
    values = _values(figures)
    if values and not is_key:
        yield f"values = [{', '.join(_text(value) for value in values)}]"
    yield f"max_missing = {_most_missing(figures):g}"
    if any(len(key) == 1 for key in keys):
        yield "unique = true"
    if not is_key and figures.n_missing < figures.n_rows and _is_steady(figures):
        yield f"max_drift = {_MAX_DRIFT}"


def _type(figures: ColumnFigures) -> str:
    kind = figures.type
    families = (("Int", "integer"), ("UInt", "integer"), ("Float", "float"), ("Datetime", "time"))
    exact = {"String": "text", "Categorical": "text", "Boolean": "boolean", "Date": "date"}
    return exact.get(kind) or next((word for start, word in families if kind.startswith(start)), kind)


def _bounds(figures: ColumnFigures) -> Iterator[str]:
    if figures.minimum is None or figures.maximum is None or figures.first is not None or figures.n_infinite:
        return
    if figures.type.startswith("Duration"):
        return
    room = 0.0 if _is_code(figures) else (figures.maximum - figures.minimum) * _SLACK
    low, high = figures.minimum - room, figures.maximum + room
    low = 0.0 if figures.minimum >= 0 > low else low
    high = 0.0 if figures.maximum <= 0 < high else high
    if math.isfinite(low) and math.isfinite(high):
        whole = "Int" in figures.type
        yield f"min = {_number(math.floor(low) if whole else low, math.floor)}"
        yield f"max = {_number(math.ceil(high) if whole else high, math.ceil)}"


def _is_code(figures: ColumnFigures) -> bool:
    """Tell whether whole numbers stand for a few things, such as hours and weekdays, so that there are no others."""
    n_values = figures.n_unique or 0
    return "Int" in figures.type and n_values <= _MAX_CODES and figures.n_rows >= n_values * _ROWS_PER_VALUE


def _number(value: float, rounded: object) -> str:
    """Spell a bound with three digits more than its size, rounded away from the values seen."""
    if isinstance(value, int) or value == 0:
        return f"{int(value)}.0" if isinstance(value, float) else str(value)
    scale = 10.0 ** (math.floor(math.log10(abs(value))) - 3)
    outward = math.floor if rounded is math.floor else math.ceil
    kept = outward(value / scale) * scale
    text = f"{kept:.10g}"
    return text if any(mark in text for mark in ".e") else f"{text}.0"


def _values(figures: ColumnFigures) -> list[str]:
    is_text = figures.kind == "categorical" and figures.type != "Boolean"
    n_known = figures.n_rows - figures.n_missing
    n_values = len(figures.top)
    if (
        not is_text
        or figures.n_other
        or not 0 < n_values <= MAX_VALUES
        or n_known < n_values * _ROWS_PER_VALUE
    ):
        return []
    return sorted(each.label for each in figures.top)


def _most_missing(figures: ColumnFigures) -> float:
    share = figures.n_missing / figures.n_rows if figures.n_rows else 0.0
    return min(1.0, math.ceil(share * 200) / 100)


def _is_steady(figures: ColumnFigures) -> bool:
    """Tell whether the next version should have this distribution: times move on, and so do texts without end."""
    few = figures.kind == "categorical" and not figures.n_other
    return few or (figures.kind == "numeric" and figures.first is None)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    # A string of JSON is a basic string of TOML, but for one control character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
