"""Strain: small nudges, slices, latency, memory, and the ONNX form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.stats.intervals import newcombe_difference
from noria.core.stats.means import welch_difference
from noria.registry.equality import Equality
from noria.registry.golden import ReferenceSample
from noria.registry.validation.bench import Bench, Column, Measured, share, short
from noria.registry.validation.port import Arrays, Subject
from noria.registry.validation.words import (
    GREW,
    NATIVE,
    NO_NUMBERS,
    NO_TARGET,
    NOT_EQUAL,
    NUDGED,
    ONNX_ERROR,
    ONNX_FLIPS,
    PEAK,
    SLICE_WORST,
    SLICE_WORST_HELD,
    SLICES_EVEN,
    SLICES_EVEN_HELD,
    TIMED,
    TOO_FEW,
)

_NUDGED_ROWS = 150
_RANDOM_ROUNDS = 8
_CLIMB_ROUNDS = 8
_SIGNS_TURNED = 0.25
_CHANGE = 0.1  # of the spread of answers: a number that moves further counts as turned
_FEWEST = 40
_MOST_CATEGORIES = 20
_LEVEL = 0.05
_CALLS = 50
_GROWTH_CALLS = 300
_THOUSAND = 1_000
_TRAINING_WORDS = (SLICES_EVEN, SLICE_WORST)
_HELD_WORDS = (SLICES_EVEN_HELD, SLICE_WORST_HELD)


def nudges(bench: Bench, subject: Subject) -> Measured:
    """Search small changes that turn answers: random signs first, then a climb on the margin of the answer."""
    specs = [spec for spec in bench.signature.inputs if spec.datatype.startswith("FP")]
    if not specs:
        return Measured(value=None, words=NO_NUMBERS)
    rows = bench.some(_NUDGED_ROWS)
    n, before = len(next(iter(rows.values()))), subject.predict(rows)
    steps = {
        s.name: bench.settings.nudge * np.nan_to_num(np.nanstd(bench.rows[s.name], axis=0)) for s in specs
    }
    best: dict[str, Any] = {s.name: np.zeros(rows[s.name].shape) for s in specs}
    gain = np.full(n, -np.inf)
    turned = np.zeros(n, dtype=bool)
    for turn in range(_RANDOM_ROUNDS + _CLIMB_ROUNDS):
        signs = {
            name: _proposed(bench.rng, found, climbs=turn >= _RANDOM_ROUNDS) for name, found in best.items()
        }
        after = subject.predict({**rows, **{k: _moved(rows[k], signs[k] * steps[k]) for k in signs}})
        new = _gain(bench, before, after)
        turned |= _is_turned(bench, before, after)
        better = new > gain
        gain = np.where(better, new, gain)
        best = {k: np.where(better.reshape(-1, *[1] * (best[k].ndim - 1)), signs[k], best[k]) for k in best}
    bad = int(turned.sum())
    values: dict[str, str | int | float] = {"size": short(bench.settings.nudge), "bad": bad, "n": n}
    return Measured(value=share(bad, n), words=NUDGED, values=values)


def slices(bench: Bench, subject: Subject) -> Measured:
    """Compare the score of each slice with that of the other rows: of held-out rows, or of the training sample.

    The latter is taken when no held-out rows are kept, or too few to tell slices apart.
    """
    samples = _samples(bench)
    if not samples:
        return Measured(value=None, words=NO_TARGET)
    for sample in samples:
        if found := [(name, chosen) for name, chosen in _slices(bench, sample) if _is_large(chosen)]:
            words = _HELD_WORDS if sample is bench.held_out else _TRAINING_WORDS
            return _worst(_scores(bench, subject, sample), found, *words)
    return Measured(value=None, words=TOO_FEW)


def _samples(bench: Bench) -> list[ReferenceSample]:
    found = [bench.held_out] if bench.held_out is not None else []
    if bench.reference is not None and bench.target is not None:
        found.append(ReferenceSample(inputs=bench.reference, target=bench.target))
    return found


def _worst(
    scores: NDArray[Any], found: list[tuple[str, NDArray[np.bool_]]], even: str, uneven: str
) -> Measured:
    rated = [
        (_sure_shortfall(scores[chosen], scores[~chosen], _LEVEL / len(found)), name, chosen)
        for name, chosen in found
    ]
    rated.sort(key=lambda each: -each[0])
    worst, name, chosen = rated[0]
    details = [
        (each, f"{scores[at].mean():.3f} / {scores[~at].mean():.3f} (n = {at.sum()})")
        for short_by, each, at in rated[:8]
        if short_by > 0
    ]
    if worst <= 0:
        return Measured(value=0.0, words=even, values={"n": len(found)}, details=details)
    values: dict[str, str | int | float] = {
        "slice": name,
        "score": f"{scores[chosen].mean():.3f}",
        "n": int(chosen.sum()),
        "rest": f"{scores[~chosen].mean():.3f}",
    }
    return Measured(value=worst, words=uneven, values=values, details=details)


def latency_one_ms(bench: Bench, subject: Subject) -> Measured:
    """Time single rows."""
    return _timed(subject, bench.some(1), 1, _CALLS)


def latency_many_ms(bench: Bench, subject: Subject) -> Measured:
    """Time a thousand rows at once."""
    wanted = np.arange(_THOUSAND) % bench.n
    return _timed(subject, {name: array[wanted] for name, array in bench.rows.items()}, _THOUSAND, 10)


def memory_growth_mb(bench: Bench, subject: Subject) -> Measured:
    """Call again and again, and see whether the process grows."""
    grown = max(0.0, subject.growth_mb(bench.some(32), _GROWTH_CALLS))
    return Measured(value=grown, words=GREW, values={"calls": _GROWTH_CALLS, "mb": f"{grown:.1f}"})


def memory_mb(bench: Bench, subject: Subject) -> Measured:  # noqa: ARG001 - every check takes both
    """Give the largest memory that the process took in all checks before."""
    peak = subject.peak_mb()
    return Measured(value=peak, words=PEAK, values={"mb": f"{peak:.0f}"})


def onnx_error(bench: Bench, subject: Subject) -> Measured:  # noqa: ARG001 - measured at registration
    """Read how far the ONNX form is off."""
    found = bench.equality
    if found is None or not found.equal:
        return _no_onnx(found)
    values: dict[str, str | int | float] = {"n": found.n_rows, "error": short(found.largest_relative_error)}
    return Measured(value=found.largest_relative_error, words=ONNX_ERROR, values=values)


def onnx_flips(bench: Bench, subject: Subject) -> Measured:  # noqa: ARG001 - measured at registration
    """Read how many labels the ONNX form turns."""
    found = bench.equality
    if found is None or not found.equal:
        return _no_onnx(found)
    values: dict[str, str | int | float] = {"bad": found.n_label_flips, "n": found.n_rows}
    return Measured(value=found.label_flip_rate, words=ONNX_FLIPS, values=values)


def _no_onnx(found: Equality | None) -> Measured:
    """Tell why the native library answers: then nothing is to be held to a limit."""
    if found is None:
        return Measured(value=None, words=NATIVE)
    return Measured(value=None, words=NOT_EQUAL, values={"reason": found.reason or "?"})


def _proposed(rng: np.random.Generator, best: NDArray[Any], *, climbs: bool) -> NDArray[Any]:
    fresh = rng.choice(np.array([-1.0, 1.0]), size=best.shape)
    if not climbs:
        return fresh
    return np.where(rng.random(best.shape) < _SIGNS_TURNED, fresh, best)


def _moved(values: NDArray[Any], by: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(values + by, dtype=values.dtype)


def _gain(bench: Bench, before: Arrays, after: Arrays) -> NDArray[Any]:
    """Give how near each answer is to being turned: the larger the nearer."""
    if not bench.is_classifier:
        return np.asarray(np.abs(after["predictions"] - before["predictions"]), dtype=float)
    if "probabilities" not in after:
        return np.asarray(_is_turned(bench, before, after), dtype=float)
    held = before["probabilities"].argmax(axis=1)
    rows = np.arange(len(held))
    others = after["probabilities"].copy()
    others[rows, held] = -1.0
    return np.asarray(others.max(axis=1) - after["probabilities"][rows, held])


def _is_turned(bench: Bench, before: Arrays, after: Arrays) -> NDArray[np.bool_]:
    if bench.is_classifier:
        return np.asarray(before["predictions"] != after["predictions"])
    spread = float(np.std(before["predictions"])) or 1.0
    return np.asarray(np.abs(after["predictions"] - before["predictions"]) > _CHANGE * spread)


def _scores(bench: Bench, subject: Subject, sample: ReferenceSample) -> NDArray[Any]:
    given = subject.predict(sample.inputs)["predictions"]
    if bench.is_classifier:
        right = given.astype(str) == sample.target.astype(given.dtype).astype(str)
        return np.asarray(right, dtype=float)
    errors = np.abs(given.astype(float) - sample.target.astype(float))
    held = bench.version.holdout
    bound = (held.error_bound if held else None) or 2.0 * float(np.quantile(errors, 0.99)) or 1.0
    return np.asarray(1.0 - np.minimum(1.0, errors / bound))


def _slices(bench: Bench, sample: ReferenceSample) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for column in bench.columns():
        yield from _slices_of(column, column.of(sample.inputs))


def _slices_of(column: Column, values: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    distinct = np.unique(values)
    if column.is_text or values.dtype.kind == "b" or len(distinct) <= 5:
        if len(distinct) <= _MOST_CATEGORIES:
            for each in distinct:
                yield f"{column.name} = {each}", np.asarray(values == each)
        return
    low, middle, high = np.nanquantile(values.astype(float), (0.25, 0.5, 0.75))
    yield f"{column.name} ≤ {low:.4g}", np.asarray(values <= low)
    yield f"{low:.4g} < {column.name} ≤ {middle:.4g}", np.asarray((values > low) & (values <= middle))
    yield f"{middle:.4g} < {column.name} ≤ {high:.4g}", np.asarray((values > middle) & (values <= high))
    yield f"{column.name} > {high:.4g}", np.asarray(values > high)


def _is_large(chosen: NDArray[np.bool_]) -> bool:
    return bool(chosen.sum() >= _FEWEST and (~chosen).sum() >= _FEWEST)


def _sure_shortfall(inside: NDArray[Any], outside: NDArray[Any], alpha: float) -> float:
    """Give by how much the score inside is below that outside at least, at this level; 0 when it may not be."""
    if np.isin(inside, (0.0, 1.0)).all() and np.isin(outside, (0.0, 1.0)).all():
        upper = newcombe_difference(
            int(inside.sum()), len(inside), int(outside.sum()), len(outside), alpha=alpha
        ).upper
    else:
        upper = welch_difference(inside.tolist(), outside.tolist(), alpha=alpha).upper
    return max(0.0, -float(upper))


def _timed(subject: Subject, rows: Arrays, n: int, calls: int) -> Measured:
    took = [1e3 * each for each in subject.timed(rows, calls)]
    median = float(np.median(took))
    values: dict[str, str | int | float] = {
        "ms": short(median),
        "n": n,
        "calls": len(took),
        "slowest": short(max(took)),
    }
    return Measured(value=median, words=TIMED, values=values)
