"""What checks are made of: sample rows, columns to change, and answers that are looked through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.registry.entities import ServableVersion, Signature, Task, TensorSpec
from noria.registry.equality import Equality
from noria.registry.golden import GoldenBatch, ReferenceSample
from noria.registry.signatures import check_inputs
from noria.registry.validation.entities import ValidationSection
from noria.registry.validation.port import Arrays, Subject, SubjectRaised

MAX_COLUMNS = 48
"""Columns that are changed one by one; of more, so many are taken at even distances."""

MAX_DETAILS = 8
_SLACK = 1e-3
_AT_ONCE = 2_000
_FLOATS = {"FP64": np.float64, "FP32": np.float32, "FP16": np.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a check measured; `value` None says that the version has nothing to measure."""

    value: float | None
    words: str
    values: dict[str, str | int | float] = field(default_factory=dict)
    details: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One number or text a row: an input of one axis, or a place in one of more axes."""

    spec: TensorSpec
    at: tuple[int, ...]

    @property
    def name(self) -> str:
        """As profiles name it."""
        return f"{self.spec.name}[{','.join(map(str, self.at))}]" if self.at else self.spec.name

    @property
    def is_text(self) -> bool:
        """Whether it holds texts."""
        return self.spec.datatype == "BYTES"

    @property
    def is_float(self) -> bool:
        """Whether it holds decimal numbers."""
        return self.spec.datatype.startswith("FP")

    @property
    def _place(self) -> tuple[Any, ...]:
        return (slice(None), *self.at)

    def of(self, rows: Arrays) -> NDArray[Any]:
        """Give its values, shape (n_rows,)."""
        return np.asarray(rows[self.spec.name][self._place])

    def set_in(self, rows: Arrays, values: Any) -> dict[str, NDArray[Any]]:
        """Give the rows with other values in it."""
        array = rows[self.spec.name]
        made = array.astype(str if self.is_text else array.dtype, copy=True)
        if self.is_text:
            longest = max((len(str(each)) for each in np.atleast_1d(values)), default=1)
            made = made.astype(f"<U{max(longest, made.dtype.itemsize // 4)}")
        made[self._place] = values
        return {**rows, self.spec.name: made}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Rows to try, and what they try."""

    label: str
    rows: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The version with all that checks need.

    Attributes
    ----------
    rows
        Sample rows of the training data, or rows made up from the signature.
    reference, target
        All rows of the sample with their target; None where none is kept.
    held_out
        Rows that the model was not fitted on; None where none are kept.
    """

    version: ServableVersion
    settings: ValidationSection
    rows: dict[str, NDArray[Any]]
    reference: dict[str, NDArray[Any]] | None
    target: NDArray[Any] | None
    held_out: ReferenceSample | None
    golden: GoldenBatch | None
    equality: Equality | None
    rng: np.random.Generator

    @property
    def signature(self) -> Signature:
        """Of the version."""
        return self.version.signature

    @property
    def is_classifier(self) -> bool:
        """Whether answers are classes."""
        return self.version.task is Task.CLASSIFICATION

    @property
    def n(self) -> int:
        """Number of sample rows."""
        return len(next(iter(self.rows.values())))

    def some(self, n: int) -> dict[str, NDArray[Any]]:
        """Give the first rows of the sample."""
        return {name: array[:n] for name, array in self.rows.items()}

    def columns(self) -> list[Column]:
        """List columns to change one by one."""
        found = [
            Column(spec=spec, at=at) for spec in self.signature.inputs for at in np.ndindex(*spec.shape[1:])
        ]
        if len(found) <= MAX_COLUMNS:
            return found
        return [found[int(i)] for i in np.linspace(0, len(found) - 1, MAX_COLUMNS)]

    def invalid(self, answer: Arrays, n: int) -> NDArray[np.bool_]:
        """Tell which rows have no valid answer, shape (n,)."""
        return invalid_rows(self.version, answer, n)

    def differing(self, first: Arrays, second: Arrays) -> tuple[int, float]:
        """Count rows that are answered otherwise, and give the largest difference of a number."""
        return differing_rows(first, second, self.settings.tolerance)


def probe(
    bench: Bench, subject: Subject, cases: Sequence[Case], *, apart: bool = False
) -> tuple[int, int, list[tuple[str, str]]]:
    """Try cases that must have valid answers: rows that were asked, rows without one, and which.

    Rows that the signature refuses are not asked: in production the model never sees them.

    Parameters
    ----------
    apart
        Each case in a call of its own, where the company of other rows would hide what it tries.
    """
    allowed = list(_allowed(bench.signature, cases))
    sizes = [_length(rows) for _, rows in allowed]
    bad: list[tuple[int, str]] = []
    for part in _parts(sizes, 1 if apart else _AT_ONCE):
        bad += _tried_together(bench, subject, [rows for _, rows in allowed[part]], sizes[part])
    details = [(case.label, said) for (case, _), (n_bad, said) in zip(allowed, bad, strict=True) if n_bad]
    return sum(sizes), sum(n_bad for n_bad, _ in bad), details[:MAX_DETAILS]


def invalid_rows(version: ServableVersion, answer: Arrays, n: int) -> NDArray[np.bool_]:
    """Tell which rows have no valid answer: none at all, not finite, of no known class, with odd probabilities."""
    given = answer.get("predictions")
    if given is None or given.ndim == 0 or len(given) != n:
        return np.ones(n, dtype=bool)
    bad = np.zeros(n, dtype=bool)
    if given.dtype.kind == "f":
        bad |= ~np.isfinite(given.reshape(n, -1)).all(axis=1)
    if version.task is Task.CLASSIFICATION and version.classes and given.ndim == 1:
        bad |= ~np.isin(given.astype(str), np.asarray(version.classes).astype(given.dtype).astype(str))
    shares = answer.get("probabilities")
    if shares is not None:
        if shares.ndim != 2 or len(shares) != n:
            return np.ones(n, dtype=bool)
        inside = (shares >= -_SLACK) & (shares <= 1 + _SLACK)
        bad |= ~(inside.all(axis=1) & (np.abs(shares.sum(axis=1) - 1) <= _SLACK))
    return bad


def differing_rows(first: Arrays, second: Arrays, tolerance: float) -> tuple[int, float]:
    """Count rows answered otherwise, and give the largest difference of a number among them.

    Numbers are the same up to `tolerance` times the larger of 1 and their size; everything else must be equal.
    """
    n = len(first["predictions"])
    if first.keys() != second.keys() or any(first[k].shape != second[k].shape for k in first):
        return n, float("inf")
    differs, largest = np.zeros(n, dtype=bool), 0.0
    for name, before in first.items():
        after = second[name]
        if before.dtype.kind != "f":
            differs |= (before != after).reshape(n, -1).any(axis=1)
            continue
        both = np.isnan(before) & np.isnan(after)
        with np.errstate(invalid="ignore"):
            off = np.where(both, 0.0, np.abs(before - after))
        off = np.where(np.isnan(off), np.inf, off)
        size = np.maximum(1.0, np.abs(np.where(np.isfinite(before), before, 1.0)))
        differs |= (off / size > tolerance).reshape(n, -1).any(axis=1)
        largest = max(largest, float(off.max(initial=0.0)))
    return int(differs.sum()), largest


def made_up_rows(signature: Signature, n: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Make rows up that fit a signature, where no sample of the training rows is kept."""
    return {spec.name: _made_up(spec, (n, *spec.shape[1:]), rng) for spec in signature.inputs}


def short(value: float) -> str:
    """Write a number for a sentence."""
    return f"{value:.4g}"


def share(bad: int, n: int) -> float:
    """Give the share of bad rows."""
    return bad / n if n else 0.0


def _allowed(signature: Signature, cases: Iterable[Case]) -> Iterator[tuple[Case, dict[str, NDArray[Any]]]]:
    for case in cases:
        try:
            yield case, check_inputs(signature, case.rows)
        except Invalid:
            continue


def _parts(sizes: Sequence[int], at_once: int) -> Iterator[slice]:
    """Cut cases into parts of so many rows, or of one case."""
    start = n = 0
    for at, size in enumerate(sizes):
        if n + size > at_once and at > start:
            yield slice(start, at)
            start, n = at, 0
        n += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def _tried_together(
    bench: Bench, subject: Subject, cases: Sequence[dict[str, NDArray[Any]]], sizes: Sequence[int]
) -> list[tuple[int, str]]:
    """Try cases in one call; when that raises, each by itself."""
    together = {name: np.concatenate([rows[name] for rows in cases]) for name in cases[0]}
    try:
        invalid = bench.invalid(subject.predict(together), sum(sizes))
    except SubjectRaised:
        return [_tried(bench, subject, rows, n) for rows, n in zip(cases, sizes, strict=True)]
    counts = [int(part.sum()) for part in np.split(invalid, np.cumsum(sizes)[:-1])]
    return [(bad, f"{bad}/{n}") for bad, n in zip(counts, sizes, strict=True)]


def _tried(bench: Bench, subject: Subject, rows: dict[str, NDArray[Any]], n: int) -> tuple[int, str]:
    try:
        bad = int(bench.invalid(subject.predict(rows), n).sum())
    except SubjectRaised as error:
        return n, str(error)
    return bad, f"{bad}/{n}"


def _length(rows: Arrays) -> int:
    return len(next(iter(rows.values())))


def _made_up(spec: TensorSpec, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    if spec.datatype == "BYTES":
        return rng.choice(np.array(["a", "b", "c"]), size=shape)
    if spec.datatype == "BOOL":
        return rng.random(shape) < 0.5
    if spec.datatype in _FLOATS:
        return rng.normal(size=shape).astype(_FLOATS[spec.datatype])
    kind = spec.datatype.replace("UINT", "uint").replace("INT", "int")
    return rng.integers(0, 10, size=shape).astype(kind)
