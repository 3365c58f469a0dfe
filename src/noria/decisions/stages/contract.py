"""Contract: values are present, move, lie in a sane range, and have the unit and codes of the training data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.stages.finding import Finding, lacks
from noria.decisions.stages.scales import constant_ratio

STAGE = "contract"
Array = NDArray[Any]
Columns = Mapping[str, Array]

LEVEL = 1e-4
"""Chance of a breach in a column that keeps its contract, before it is divided by the number of columns."""

_FEWEST_ROWS = 20
_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
_FEWEST_RATIOS = 5
_RATIO_SPREAD = 0.1
_LEAST_RATIO = 1.5
_MISSING_ALLOWED = 0.02
_ABSURD_SHARE = 0.02
_SAME_SHARES = 0.05
_MOVED_SHARES = 0.3
_SHOWN = 5

CORRUPT = ("missing", "frozen", "absurd")
"""Kinds of breach that no design explains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A column that does not keep its contract.

    Attributes
    ----------
    kind
        `missing`, `frozen`, `absurd` (values far outside anything known), `rescaled` (a constant ratio), `recoded`
        (codes that the training data did not have, or codes exchanged).
    p_value
        Chance of such a column if it kept its contract.
    """

    column: str
    kind: str
    sentence: str
    p_value: float
    figure: float


def contract(
    reference: Columns | None, current: Columns, *, n_rows: int, n_errors: int = 0, level: float = LEVEL
) -> Finding:
    """Test every column of the live rows against the training sample.

    Parameters
    ----------
    reference, current
        Columns by name, each of shape (n_rows,). What did not fit the signature is missing in `current`.
    n_rows, n_errors
        Live requests' rows since the onset, and those that failed.

    Returns
    -------
    Finding
        `corrupt` when a column is missing, frozen or absurd; `changed` when one has another unit or other codes;
        `kept` otherwise. Tests that hold under ordinary drift too would call drift a breach, so each breach also has
        to be of a size that drift does not explain.
    """
    if reference is None:
        return lacks(STAGE, "The version was registered without a sample of its training rows")
    names = [name for name in reference if name in current]
    n = min((len(current[name]) for name in names), default=0)
    if n < _FEWEST_ROWS:
        return lacks(STAGE, f"Only {n} live rows since the onset; at least {_FEWEST_ROWS} are needed", n=n)
    found = [breach for name in names for breach in breaches(name, reference[name], current[name])]
    sure = sorted((b for b in found if b.p_value <= level / len(names)), key=lambda breach: breach.p_value)
    corrupt = [breach for breach in sure if breach.kind in CORRUPT]
    verdict = "corrupt" if corrupt else "changed" if sure else "kept"
    first = [*corrupt, *(breach for breach in sure if breach not in corrupt)]
    says = "; ".join(breach.sentence for breach in first[:_SHOWN])
    kept = f"All {len(names)} columns of {n} live rows keep the contract of the training data"
    return Finding(
        stage=STAGE,
        verdict=verdict,
        sentence=(says or kept) + (f"; {n_errors} of {n_rows} rows failed" if n_errors else ""),
        figures={
            "n": n,
            "n_columns": len(names),
            "n_errors": n_errors,
            "breaches": [
                {"column": b.column, "kind": b.kind, "p_value": b.p_value, "figure": b.figure}
                for b in first[:20]
            ],
        },
        subject=f"column {first[0].column}" if first else None,
    )


def breaches(name: str, reference: Array, current: Array) -> Iterable[Breach]:
    """List what one column breaks, whatever the number of other columns."""
    known, seen = is_missing(reference), is_missing(current)
    tests = [_missing(name, known, seen), _frozen(name, reference[~known], current[~seen])]
    if reference.dtype.kind in "iuf" and current.dtype.kind in "iuf":
        before, after = reference[~known].astype(float), current[~seen].astype(float)
        finite = after[np.isfinite(after)]
        # A frozen column has any ratio to its past, and one in another unit is absurd as well: the finer name wins.
        scaled = _rescaled(name, before, finite)
        tests.append(scaled or _absurd(name, before, after))
    elif reference.dtype.kind in "USOb":
        tests.append(_recoded(name, reference[~known].astype(str), current[~seen].astype(str)))
    return [test for test in tests if test is not None]


def _missing(name: str, known: Array, seen: Array) -> Breach | None:
    """More missing values than before: binomial, against the share that the training rows had."""
    from scipy.stats import binom

    n_seen, before = int(seen.sum()), (int(known.sum()) + 1) / (len(known) + 2)
    share = n_seen / len(seen)
    if share <= known.mean() + _MISSING_ALLOWED:
        return None
    return Breach(
        column=name,
        kind="missing",
        sentence=f"`{name}` is missing or unreadable in {share:.1%} of the rows; it was in {known.mean():.1%}",
        p_value=float(binom.sf(n_seen - 1, len(seen), before)),
        figure=share,
    )


def _frozen(name: str, reference: Array, current: Array) -> Breach | None:
    """One value only: under the training data, at most the n-th power of its most frequent value's share."""
    if len(current) < _FEWEST_ROWS or len(reference) == 0 or not (current == current[0]).all():
        return None
    _, counts = np.unique(reference, return_counts=True)
    share = float(counts.max()) / len(reference)
    if share > 0.9:
        return None
    return Breach(
        column=name,
        kind="frozen",
        sentence=f"`{name}` is `{current[0]}` in all {len(current)} rows; it had {len(counts)} values before",
        p_value=share ** len(current),
        figure=float(len(counts)),
    )


def _absurd(name: str, reference: Array, current: Array) -> Breach | None:
    """Values farther outside the known range than that range is wide."""
    from scipy.stats import binom

    if len(reference) < _FEWEST_ROWS or len(current) < _FEWEST_ROWS:
        return None
    low, high = float(reference.min()), float(reference.max())
    width = high - low
    if width == 0:
        return None
    outside = ~((current >= low - width) & (current <= high + width))
    share = float(outside.mean())
    if share < _ABSURD_SHARE:
        return None
    farthest = float(current[outside][0])
    # Even the plain range holds a new row of the same kind with probability (n - 1) / (n + 1).
    p_value = float(binom.sf(int(outside.sum()) - 1, len(current), 2 / (len(reference) + 1)))
    return Breach(
        column=name,
        kind="absurd",
        sentence=f"`{name}` is far outside {low:g} to {high:g} in {share:.1%} of the rows, as `{farthest:g}`",
        p_value=p_value,
        figure=share,
    )


def _rescaled(name: str, reference: Array, current: Array) -> Breach | None:
    """Quantiles that stand in one constant ratio to those of the training rows: another unit."""
    if len(reference) < _FEWEST_ROWS or len(current) < _FEWEST_ROWS:
        return None
    before, after = (np.quantile(side, _LEVELS) for side in (reference, current))
    ratio = constant_ratio(before, after, fewest=_FEWEST_RATIOS, most_apart=_RATIO_SPREAD)
    if ratio is None or abs(math.log(ratio)) < math.log(_LEAST_RATIO):
        return None
    return Breach(
        column=name,
        kind="rescaled",
        sentence=f"`{name}` is {ratio:.3g} times what it was, at every quantile: another unit",
        p_value=_ks_p_value(reference, current),
        figure=ratio,
    )


def _ks_p_value(reference: Array, current: Array) -> float:
    from noria.core.stats.tests import ks_two_sample

    return float(ks_two_sample(reference[:, None], current[:, None]).p_value[0])


def _recoded(name: str, reference: Array, current: Array) -> Breach | None:
    """Codes that were never seen, or known codes that changed places."""
    if len(reference) == 0 or len(current) == 0:
        return None
    return _new_codes(name, reference, current) or _exchanged(name, reference, current)


def _new_codes(name: str, reference: Array, current: Array) -> Breach | None:
    """Rows with unknown codes against the share that Good and Turing expect: codes seen once, over rows."""
    from scipy.stats import binom

    known, counts = np.unique(reference, return_counts=True)
    unknown = ~np.isin(current, known)
    expected = (int((counts == 1).sum()) + 1) / (len(reference) + 1)
    share = float(unknown.mean())
    if share <= max(_MISSING_ALLOWED, 2 * expected):
        return None
    code, _ = _most_frequent(current[unknown])
    return Breach(
        column=name,
        kind="recoded",
        sentence=f"`{name}` has codes that the training rows did not have in {share:.1%} of the rows, as `{code}`",
        p_value=float(binom.sf(int(unknown.sum()) - 1, len(current), expected)),
        figure=share,
    )


def _exchanged(name: str, reference: Array, current: Array) -> Breach | None:
    from noria.core.stats.tests import chi_squared

    codes = np.unique(np.concatenate([reference, current]))
    before, after = (np.array([(side == code).mean() for code in codes]) for side in (reference, current))
    moved = float(np.abs(before - after).sum() / 2)
    as_sets = float(np.abs(np.sort(before) - np.sort(after)).sum() / 2)
    if moved < _MOVED_SHARES or as_sets > _SAME_SHARES:
        return None
    return Breach(
        column=name,
        kind="recoded",
        sentence=f"`{name}` has the same shares under exchanged codes; {moved:.0%} of the rows moved",
        p_value=chi_squared(reference, current).p_value,
        figure=moved,
    )


def _most_frequent(values: Array) -> tuple[str, int]:
    found, counts = np.unique(values, return_counts=True)
    return str(found[counts.argmax()]), int(counts.max())
