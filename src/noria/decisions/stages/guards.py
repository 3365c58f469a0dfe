"""Guards: what each column of raw rows always did, block by block, and what it does now.

A window of live rows is set against blocks of training rows of the same size. What blocks did by themselves (a month
that is missing from all others, a counter that only grows, a sensor that rests at night) is nature and no breach, and
neither is what calm live windows did before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.samples import is_missing
from noria.decisions.stages.scales import SURE_FACTOR, constant_ratio

Array = NDArray[Any]
Floats = NDArray[np.float64]
Columns = Mapping[str, Array]

MOST_BLOCKS = 12
FEWEST_ROWS = 10

LEAST_PAST = 1 / 3
"""Share of the training rows that have to lie before a block to be a past."""

_MOST_STARTS = 200

_LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
_FEW_VALUES = 20
_UNIT = math.log(1.25)
_PLAIN_MARGIN: Mapping[str, float] = {
    "missing": 0.04,
    "outside": 0.02,
    "default": 0.08,
    "repeat": 0.25,
    "unseen": 0.03,
    "exchanged": 0.15,
    "rescaled": _UNIT,
    "mapped": 0.3,
    "flipped": 0.2,
    "spelt": 0.02,
}
SCALES = ("rescaled", "mapped", "flipped")
_EXPLAINS: Mapping[str, tuple[str, ...]] = {
    "frozen": (*SCALES, "default", "repeat", "exchanged", "outside", "rounded", "unseen"),
    "missing": ("default", "repeat", "rounded"),
    "repeat": ("default", "rounded"),
    "rounded": ("default", "repeat"),
    "rescaled": ("mapped", "flipped", "outside", "default", "exchanged", "rounded"),
    "flipped": ("mapped", "outside", "default", "exchanged", "rounded"),
    "mapped": ("outside", "default", "exchanged", "rounded"),
    "default": ("outside", "rounded"),
    "spelt": ("default", "exchanged"),
    "exchanged": ("default",),
    "unseen": ("default", "exchanged"),
}
"""Sign → signs of the same column that it explains."""

_NEVER_NATURAL = frozenset(
    {"missing", "frozen", "spelt", "rounded", "repeat", "duplicated", "lagged", "swapped"}
)
_FEWEST_RATIOS = 4
_APART = 0.2
_SURE_REACH = 0.97
_SURE_UNSEEN = 0.5
_SURE_FAR = 0.1
_SURE_LAG = 10  # rows; where series have periods, half a day or a day later is like now
_SURE_ROWS = 100  # so many lags of so many columns are tried that one fits a few rows by chance
_SPIKE_SHARE = 0.01
_ALONE = 3.0  # times as frequent as the values beside it
_RESTS = 0.05  # share of training rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Something that a column never did before.

    Attributes
    ----------
    kind
        `missing`, `outside`, `default` (one value too often), `frozen`, `repeat` (values stay too long), `rounded`,
        `rescaled`, `mapped` (another unit, by a line), `flipped` (sign), `unseen` (codes), `spelt` (codes that differ
        in case or blanks only), `exchanged` (codes), `duplicated` (whole rows), `lagged` (values of other rows, a fixed
        number away), `swapped` (with another column).
    size
        What was measured; `natural` is the largest that calm blocks gave.
    values
        What a repair needs; `spike` when one value became frequent in a column of many, `far` the share of rows that
        lie outside by more than the whole width of the training rows.
    """

    column: str
    kind: str
    size: float
    natural: float
    sentence: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def hard(self) -> bool:
        """Tell whether no world that moved by itself gives it; others have to stand alone and to cost something."""
        if self.kind == "rescaled":
            return self.size >= SURE_FACTOR
        if self.kind == "mapped":
            return abs(math.log(self.values["slope"])) >= SURE_FACTOR or self.size >= _SURE_REACH
        if self.kind == "unseen":
            return self.size >= _SURE_UNSEEN
        if self.kind == "outside":
            return bool(self.values["far"] >= _SURE_FAR)
        if self.kind == "lagged" and (
            abs(self.values["lag"]) > _SURE_LAG or self.values.get("rows", _SURE_ROWS) < _SURE_ROWS
        ):
            return False
        return self.kind in _NEVER_NATURAL or bool(self.values.get("spike"))


class Guard:
    """Knows one column of the training rows.

    Parameters
    ----------
    blocks
        Row indices of each block, in order.
    """

    def __init__(self, name: str, reference: Array, blocks: list[NDArray[np.intp]]) -> None:
        self.name = name
        self.is_number = reference.dtype.kind in "iufb"
        self._norm = _norm(reference)
        self._natural: dict[str, float] = {}
        self._block_rows = len(blocks[0]) if blocks else len(reference)
        for block in blocks:
            rest = np.delete(reference, block) if len(blocks) > 1 else reference
            self.accept(_measures(reference[block], _norm(rest), self.is_number))
            # A live window is set against its past only: what blocks did beyond theirs (a season that had not been
            # there yet, a price that rose) is what windows do by themselves.
            if block[0] >= LEAST_PAST * len(reference):
                self.accept(_measures(reference[block], _norm(reference[: block[0]]), self.is_number))
        if blocks and not self.is_number:
            self.accept({"unseen": _began(reference, len(blocks[0]))})
        self.is_steady = self._natural.get("outside", 0.0) < 0.3 and self._natural.get("unseen", 0.0) < 0.3

    def measure(self, values: Array) -> dict[str, float]:
        """Measure a window."""
        return _measures(values, self._norm, self.is_number)

    def accept(self, measured: Mapping[str, float], *, slack: float = 1.0) -> None:
        """Take what rows did as natural, and what is `slack` times as much too."""
        for kind, size in measured.items():
            self._natural[kind] = max(slack * size, self._natural.get(kind, 0.0))

    def signs(self, values: Array) -> list[Sign]:
        """List what this column never did before; a sign that explains others stands for them."""
        found = {sign.kind: sign for sign in self._signs(values)} if len(values) >= FEWEST_ROWS else {}
        for kind, explained in _EXPLAINS.items():
            if kind in found:
                found = {name: sign for name, sign in found.items() if name not in explained}
        return list(found.values())

    def _signs(self, values: Array) -> Iterator[Sign]:
        measured = self.measure(values)
        chance = max(0.0, 1.25 / math.sqrt(len(values)) - 1.25 / math.sqrt(max(self._block_rows, 100)))
        for kind, margin in _PLAIN_MARGIN.items():
            size, natural = measured.get(kind, 0.0), self._natural.get(kind, 0.0)
            factor = 2.0 if kind in ("outside", "unseen", "missing") else 1.0
            if size > factor * natural + margin + (chance if kind not in ("rescaled", "mapped") else 0.0):
                yield self._sign(kind, size, values)
        most = self._natural.get("mode", 0.0)
        if measured.get("mode", 0.0) > 0.97 and most < 0.85:
            yield self._sign("frozen", measured["mode"], values)
        if measured.get("whole", 0.0) > 0.98 and self._natural.get("whole", 1.0) < 0.6:
            yield self._sign("rounded", measured["whole"], values)

    def _sign(self, kind: str, size: float, values: Array) -> Sign:
        says = {
            "missing": f"is missing or unreadable in {size:.1%} of the rows",
            "outside": f"lies outside all it ever was in {size:.1%} of the rows",
            "default": f"has one value in {size:.1%} more of the rows than before",
            "frozen": f"has one value in {size:.1%} of the rows",
            "repeat": f"repeats the row before in {size:.1%} of the rows",
            "rounded": "has whole numbers only, and had fractions",
            "rescaled": "stands in one ratio to what it was, at every quantile: another unit",
            "mapped": "is what it was on another scale",
            "flipped": "has the other sign",
            "unseen": f"has codes that were never there in {size:.1%} of the rows",
            "spelt": f"has known codes in another spelling in {size:.1%} of the rows",
            "exchanged": f"has its shares under exchanged codes; {size:.0%} of the rows moved",
        }[kind]
        return Sign(
            column=self.name,
            kind=kind,
            size=size,
            natural=self._natural.get(kind, 0.0),
            sentence=f"`{self.name}` {says}",
            values=_details(kind, values, self._norm),
        )


def reference_blocks(n_rows: int, block_rows: int) -> list[NDArray[np.intp]]:
    """Cut training rows into blocks of about the size of a window, at most `MOST_BLOCKS`, spread over all rows."""
    size = max(FEWEST_ROWS, min(block_rows, n_rows // 4))
    starts = np.arange(0, n_rows - size + 1, size)
    if len(starts) > MOST_BLOCKS:
        starts = starts[np.linspace(0, len(starts) - 1, MOST_BLOCKS).round().astype(int)]
    return [np.arange(start, start + size) for start in starts]


def _began(reference: Array, block_rows: int) -> float:
    """Give the largest share of any block that had codes which no row before it had.

    Blocks are a sample of all that may begin anywhere, and would miss a season that came once.
    """
    known = reference[~is_missing(reference)].astype(str)
    least = max(1, int(LEAST_PAST * len(known)))
    _, first, codes = np.unique(known, return_index=True, return_inverse=True)
    since = first[codes]  # row in which the code of each row was there first
    starts = _spread(np.sort(first[(first >= least) & (first <= len(known) - block_rows)]))
    return max((float((since[start : start + block_rows] >= start).mean()) for start in starts), default=0.0)


def _spread(starts: NDArray[np.intp]) -> NDArray[np.intp]:
    if len(starts) <= _MOST_STARTS:
        return starts
    return starts[np.linspace(0, len(starts) - 1, _MOST_STARTS).round().astype(np.intp)]


def _norm(reference: Array) -> dict[str, Any]:
    """Give what measuring needs of the training rows."""
    known = reference[~is_missing(reference)]
    if reference.dtype.kind not in "iufb":
        names, counts = np.unique(known.astype(str), return_counts=True)
        return {"codes": names, "shares": counts / max(counts.sum(), 1)}
    values = np.sort(known.astype(np.float64))
    values = values[np.isfinite(values)]
    points, counts = np.unique(values, return_counts=True)
    norm: dict[str, Any] = {"sorted": values, "points": points, "shares": counts / max(len(values), 1)}
    if len(values):
        norm["low"], norm["high"] = reach(values)
        norm["quantiles"] = np.quantile(values, _LEVELS)
        norm["whole"] = float((values == np.round(values)).mean())
    return norm


def reach(values: Floats, beyond: float = 0.25) -> tuple[float, float]:
    """Give the bounds beyond which numbers lie outside all they were.

    Numbers that were all above 0 are held against their orders of magnitude, too: a few in thousandths lie between 0
    and what there was.

    Parameters
    ----------
    values
        Training values; at least one, all finite.
    beyond
        How far behind the outermost, in widths.
    """
    low, high = float(values.min()), float(values.max())
    width = high - low
    least = low - beyond * width
    if low > 0:
        least = max(least, low * (low / high) ** beyond)
    return least, high + beyond * width


def _measures(values: Array, norm: Mapping[str, Any], is_number: bool) -> dict[str, float]:
    gone = is_missing(values)
    known = values[~gone]
    found = {"missing": float(gone.mean()) if len(values) else 0.0}
    if len(known) < FEWEST_ROWS:
        return found
    if not is_number:
        return found | _code_measures(known.astype(str), norm)
    return found | _number_measures(known.astype(np.float64), norm)


def _number_measures(known: Floats, norm: Mapping[str, Any]) -> dict[str, float]:
    finite = known[np.isfinite(known)]
    found = _repeats(
        known, many=len(norm["points"]) > _FEW_VALUES, rests=norm["points"][norm["shares"] > _RESTS]
    )
    if "quantiles" not in norm or len(finite) < FEWEST_ROWS:
        return found
    found["outside"] = float(1 - ((known >= norm["low"]) & (known <= norm["high"])).mean())
    found["whole"] = float((finite == np.round(finite)).mean())
    points, counts = np.unique(finite, return_counts=True)
    at = np.clip(np.searchsorted(norm["points"], points), 0, len(norm["points"]) - 1)
    before = np.where(norm["points"][at] == points, norm["shares"][at], 0.0)
    found["default"] = float((counts / len(finite) - before).max())
    if len(norm["points"]) > 2:
        found |= _unit_measures(finite, norm)
    if 2 < len(norm["points"]) <= _FEW_VALUES:
        found |= _exchange(
            points.astype(str), counts / len(finite), norm["points"].astype(str), norm["shares"]
        )
    return found


def _code_measures(known: NDArray[np.str_], norm: Mapping[str, Any]) -> dict[str, float]:
    names, counts = np.unique(known, return_counts=True)
    shares = counts / len(known)
    new = ~np.isin(names, norm["codes"])
    spelling = {_plain(name) for name in norm["codes"]}
    respelt = np.array([_plain(name) in spelling for name in names]) & new
    found = _repeats(known, many=False) | {"unseen": float(shares[new & ~respelt].sum())}
    found["spelt"] = float(shares[respelt].sum())
    at = np.clip(np.searchsorted(norm["codes"], names), 0, max(len(norm["codes"]) - 1, 0))
    before = np.where(~new, norm["shares"][at], 0.0) if len(norm["codes"]) else np.zeros(len(names))
    found["default"] = float((shares - before).max())
    return found | _exchange(names, shares, norm["codes"], norm["shares"])


def _repeats(known: Array, *, many: bool, rests: Array | None = None) -> dict[str, float]:
    """Measure how often values come, and how often one stays.

    A column of few values repeats itself by chance, and a meter that rests at a value of its own for longer is at rest.

    Parameters
    ----------
    rests
        Values that were frequent in training.
    """
    _, counts = np.unique(known, return_counts=True)
    found = {"mode": float(counts.max() / len(known))}
    if many:
        stays = known[1:] == known[:-1]
        found["repeat"] = float((stays if rests is None else stays & ~np.isin(known[1:], rests)).mean())
    return found


def _unit_measures(finite: Floats, norm: Mapping[str, Any]) -> dict[str, float]:
    before, after = norm["quantiles"], np.quantile(finite, _LEVELS)
    found: dict[str, float] = {}
    ratio = constant_ratio(before, after, fewest=_FEWEST_RATIOS, most_apart=_APART)
    if ratio is not None:
        found["rescaled"] = abs(math.log(ratio))
    slope, _, fit = _line(before, after)
    reach = float(((finite < norm["sorted"][0]) | (finite > norm["sorted"][-1])).mean())
    if fit > 0.99 and slope > 0 and reach > 0.2:
        found["mapped"] = reach
    mirrored, _, mirror_fit = _line(before, -after[::-1])
    if mirror_fit > 0.97 and 0.8 < mirrored < 1.25:
        moved = float(np.abs(before - after).max() / max(np.ptp(before), 1e-12))
        back = float(np.abs(before + after[::-1]).max() / max(np.ptp(before), 1e-12))
        found["flipped"] = max(0.0, moved - 3 * back)
    return found


def _line(before: Floats, after: Floats) -> tuple[float, float, float]:
    """Fit after = slope × before + offset over quantiles; give its share of explained variance too."""
    if np.ptp(before) <= 0 or np.ptp(after) <= 0:
        return 1.0, 0.0, 0.0
    slope, offset = np.polyfit(before, after, 1)
    rest = after - (slope * before + offset)
    return float(slope), float(offset), float(1 - rest.var() / after.var())


def _exchange(
    names: NDArray[np.str_], shares: Floats, before_names: NDArray[np.str_], before: Floats
) -> dict[str, float]:
    every = np.unique(np.concatenate([names, before_names]))
    if not 2 <= len(every) <= 200:
        return {}
    now, then = np.zeros(len(every)), np.zeros(len(every))
    now[np.searchsorted(every, names)] = shares
    then[np.searchsorted(every, before_names)] = before
    moved = float(np.abs(now - then).sum() / 2)
    as_sets = float(np.abs(np.sort(now) - np.sort(then)).sum() / 2)
    return {"exchanged": max(0.0, moved - 2.5 * as_sets)}


def _details(kind: str, values: Array, norm: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a repair needs, and what tells how sure a sign is."""
    if kind == "outside":
        # Further away than the whole width of what there ever was.
        low, high = reach(norm["sorted"], 1.0)
        known = values[~is_missing(values)].astype(np.float64)
        # A zero may be a filler, and is no order of magnitude.
        far = (known < low) & ((low <= 0) | (known != 0)) | (known > high)
        return {"far": float(far.mean())}
    if kind in ("rescaled", "mapped", "flipped"):
        finite = values[~is_missing(values)].astype(np.float64)
        after = np.quantile(finite[np.isfinite(finite)], _LEVELS)
        if kind == "rescaled":
            usable = np.abs(norm["quantiles"]) > 1e-12
            return {"slope": float(np.median(after[usable] / norm["quantiles"][usable])), "offset": 0.0}
        if kind == "flipped":
            return {"slope": -1.0, "offset": 0.0}
        slope, offset, _ = _line(norm["quantiles"], after)
        return {"slope": slope, "offset": offset}
    if kind == "default":
        known = values[~is_missing(values)]
        known = known if norm.get("codes") is None else known.astype(str)
        points, counts = np.unique(known, return_counts=True)
        reference = dict(zip(norm.get("points", norm.get("codes")), norm["shares"], strict=True))
        excess = [count / len(known) - reference.get(p, 0.0) for p, count in zip(points, counts, strict=True)]
        worst = int(np.argmax(excess))
        of_many = "points" in norm and len(norm["points"]) > _FEW_VALUES
        # A filler stands alone; where a meter rests at another level than it did, the values beside are frequent too.
        beside = max((int(counts[at]) for at in (worst - 1, worst + 1) if 0 <= at < len(counts)), default=0)
        stands_alone = counts[worst] >= _ALONE * beside
        spike = of_many and stands_alone and reference.get(points[worst], 0.0) < _SPIKE_SHARE
        return {"value": points[worst].item(), "spike": bool(spike)}
    return {}


def _plain(name: str) -> str:
    return "".join(name.split()).replace("_", "").replace("-", "").casefold()
