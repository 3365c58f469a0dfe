"""Repairs of raw rows: scale back, recode, shift back, or estimate a column from the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.replay.rows import columns_of
from noria.decisions.replay.world import Repair
from noria.decisions.stages.guards import Sign
from noria.decisions.stages.relations import Encoding

if TYPE_CHECKING:
    import polars as pl

Columns = dict[str, NDArray[Any]]
Change = Callable[[NDArray[Any], Columns], NDArray[Any]]

UNRELATED, LAGGED = "unrelated", "lagged"
_MOST_ROWS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mending:
    """A repair of one column, and what it does in words.

    Attributes
    ----------
    exact
        Whether it gives the values back as they were, rather than estimates of them.
    """

    column: str
    words: str
    apply: Repair
    exact: bool


def mendings(
    sign: Sign,
    reference: pl.DataFrame,
    known: Columns,
    current: NDArray[Any],
    still: Callable[[Columns], bool],
) -> list[Mending]:
    """List the repairs that fit a sign, the likeliest first."""
    name = sign.column
    imputed = (_imputation(sign, known), f"`{name}` is estimated from the other columns")
    made: list[tuple[Change, str]] = []
    if sign.kind in ("rescaled", "mapped", "flipped"):
        slope, offset = sign.values["slope"], sign.values["offset"]
        made = [
            (
                _line(slope, offset),
                f"`{name}` is divided by {slope:.4g}" + (f" after taking {offset:.4g} off" if offset else ""),
            )
        ]
    elif sign.kind == LAGGED:
        made = [(_shift(sign.values["lag"]), f"`{name}` is moved back by {sign.values['lag']} rows")]
    elif sign.kind in ("spelt", "exchanged", "unseen"):
        recoded = _recoding(sign, known[name], current)
        made = [(recoded, f"codes of `{name}` are put back")] if recoded is not None else []
    if sign.kind != "rounded":
        made.append(imputed)
    return [
        Mending(
            column=name,
            words=words,
            apply=_on_frame(name, reference, change, still),
            exact=words is not imputed[1],
        )
        for change, words in made
    ]


def drawn_from(reference: pl.DataFrame, names: list[str]) -> Repair:
    """Give every row values of training rows drawn at random in some columns, each column by itself."""

    def apply(raw: pl.DataFrame) -> pl.DataFrame:
        rng = np.random.default_rng(0)
        return raw.with_columns(
            reference[name].gather(rng.integers(reference.height, size=raw.height)) for name in names
        )

    return apply


def _on_frame(name: str, reference: pl.DataFrame, change: Change, still: Callable[[Columns], bool]) -> Repair:
    import polars as pl

    dtype = reference[name].dtype

    def apply(raw: pl.DataFrame) -> pl.DataFrame:
        columns = columns_of(raw, reference, reference.columns)
        if name not in columns or not still(columns):
            return raw
        values = change(columns[name], columns)
        if values.dtype.kind == "f":
            column = pl.Series(name, values).fill_nan(None)
            column = column.round() if dtype.is_integer() else column
        else:
            column = pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
        return raw.with_columns(column.cast(dtype, strict=False))

    return apply


def _line(slope: float, offset: float) -> Change:
    return lambda values, _: (values.astype(np.float64) - offset) / slope


def _shift(lag: int) -> Change:
    def shift(values: NDArray[Any], _: Columns) -> NDArray[Any]:
        moved = np.roll(values, -lag)
        if lag > 0:
            moved[-lag:] = values[-1]
        else:
            moved[:-lag] = values[0]
        return moved

    return shift


def _recoding(sign: Sign, known: NDArray[Any], current: NDArray[Any]) -> Change | None:
    """Map codes to the known ones: by spelling, else by the order of their shares."""
    then, now = _shares(known), _shares(current)
    if sign.kind == "spelt":
        plain = {_plain(code): code for code in then}
        table = {code: plain.get(_plain(code), code) for code in now}
    elif sign.kind == "exchanged":
        table = dict(zip(now, then, strict=False))
    else:
        gone, new = [c for c in then if c not in now], [c for c in now if c not in then]
        if len(gone) != len(new):
            return None
        table = dict(zip(new, gone, strict=True))
    numeric = known.dtype.kind == "f"

    def recode(values: NDArray[Any], _: Columns) -> NDArray[Any]:
        if numeric:
            return np.array([float(table.get(str(v), v)) for v in values])
        return np.array([None if v is None else table.get(v, v) for v in values], dtype=object)

    return recode


def _shares(values: NDArray[Any]) -> list[str]:
    """List codes, the most frequent first."""
    names, counts = np.unique(values[~is_missing(values)].astype(str), return_counts=True)
    return [str(name) for name in names[np.argsort(-counts, kind="stable")]]


def _imputation(sign: Sign, known: Columns) -> Change:
    name = sign.column
    estimate: list[Callable[[Columns], NDArray[Any]]] = []

    def impute(values: NDArray[Any], columns: Columns) -> NDArray[Any]:
        if not estimate:
            estimate.append(_estimator(name, known))
        bad = _bad(sign, values, known[name])
        found = np.array(values)
        if bad.any():
            found[bad] = estimate[0](columns)[bad]
        return found

    return impute


def _bad(sign: Sign, values: NDArray[Any], known: NDArray[Any]) -> NDArray[np.bool_]:
    gone: NDArray[np.bool_] = is_missing(values)
    if sign.kind == "missing":
        return gone
    if sign.kind == "default":
        text = sign.values["value"]
        return np.asarray(gone | np.array([v == text for v in values], dtype=bool))
    if sign.kind == "outside":
        there = known[~is_missing(known)].astype(np.float64)
        width = float(there.max() - there.min())
        return np.asarray(
            gone | (values < there.min() - 0.25 * width) | (values > there.max() + 0.25 * width)
        )
    if sign.kind == "unseen":
        codes = set(_shares(known))
        return np.asarray(gone | np.array([str(v) not in codes for v in values], dtype=bool))
    return np.ones(len(values), dtype=bool)


def _estimator(name: str, known: Columns) -> Callable[[Columns], NDArray[Any]]:
    """Learn a column from the others on the training rows."""
    others = {other: column for other, column in known.items() if other != name}
    encoding = Encoding(others)
    there = np.flatnonzero(~is_missing(known[name]))[:_MOST_ROWS]
    rows, values = encoding(others)[there], known[name][there]
    numeric = values.dtype.kind == "f"
    if not rows.shape[1] or len(np.unique(values.astype(str))) < 2:
        middle = np.median(values) if numeric else _shares(values)[0]
        return lambda columns: np.full(len(columns[name]), middle, dtype=values.dtype)
    model = _learner(numeric).fit(rows, values if numeric else values.astype(str))

    def estimate(columns: Columns) -> NDArray[Any]:
        found = model.predict(encoding({other: columns[other] for other in others}))
        return np.asarray(found, dtype=np.float64 if numeric else object)

    return estimate


def _learner(numeric: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression

    if numeric:
        return HistGradientBoostingRegressor(max_iter=60, random_state=0)
    return LogisticRegression(max_iter=300)


def _plain(name: str) -> str:
    return "".join(name.split()).replace("_", "").replace("-", "").casefold()
