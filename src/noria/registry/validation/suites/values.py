"""Rows that life will bring: extremes, missing values, unseen categories, other units, columns that stand still."""

from __future__ import annotations

from typing import Any

import numpy as np

from noria.registry.validation.bench import Bench, Case, Column, Measured, probe, share, short
from noria.registry.validation.port import Subject, SubjectRaised
from noria.registry.validation.words import ANSWERED, NO_NUMBERS, NO_TEXTS, REFUSED, UNIT

_ROWS = 8
_FAR = (1.0, 10.0, 1000.0)
_FACTORS = (0.001, 0.1, 10.0, 1000.0)
_UNSEEN = ("never seen before", "", " ", "ñandú 🦤", "x" * 5_000, "None", "0", "'; --")
_FEW_DISTINCT = 20
_MISSING_SHARE = 0.3


def outputs(bench: Bench, subject: Subject) -> Measured:
    """Answer the sample rows themselves."""
    return _answered(bench, subject, [Case(label="sample", rows=dict(bench.rows))])


def extremes(bench: Bench, subject: Subject) -> Measured:
    """Answer rows at and far beyond the ends of each numeric column."""
    cases = []
    for column in _numeric(bench):
        values = column.of(bench.rows).astype(float)
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        width = (high - low) or max(1.0, abs(high))
        wanted = [0.0, low, high, *(low - far * width for far in _FAR), *(high + far * width for far in _FAR)]
        cases += [_set(bench, column, each) for each in wanted]
    return _answered(bench, subject, cases) if cases else Measured(value=None, words=NO_NUMBERS)


def missing(bench: Bench, subject: Subject) -> Measured:
    """Answer rows with missing values where training had some; everywhere else the signature must refuse them."""
    floats = [column for column in bench.columns() if column.is_float]
    if not floats:
        return Measured(value=None, words=NO_NUMBERS)
    cases = [_set(bench, column, np.nan, "missing") for column in floats]
    if any(spec.nullable for spec in bench.signature.inputs):
        cases.append(Case(label="many", rows=_holes(bench)))
    found = _answered(bench, subject, cases)
    if found.values["n"] == 0:
        return Measured(value=0.0, words=REFUSED, values={"n": len(cases)})
    return found


def unseen(bench: Bench, subject: Subject) -> Measured:
    """Answer rows with categories that training never had: texts, and codes of columns with few whole numbers."""
    cases = []
    for column in bench.columns():
        if column.is_text:
            cases += [_set(bench, column, text, repr(text[:20])) for text in _UNSEEN]
        elif column.spec.datatype.startswith(("INT", "UINT")):
            values = np.unique(column.of(bench.rows))
            if len(values) <= _FEW_DISTINCT:
                cases += [_set(bench, column, code) for code in (int(values.max()) + 1, 127)]
    return _answered(bench, subject, cases) if cases else Measured(value=None, words=NO_TEXTS)


def scale(bench: Bench, subject: Subject) -> Measured:
    """Answer rows whose columns come in other units."""
    cases = [
        Case(
            label=f"{column.name} × {factor:g}",
            rows=column.set_in(bench.some(_ROWS), _scaled(column, bench.some(_ROWS), factor)),
        )
        for column in _numeric(bench)
        for factor in _FACTORS
    ]
    return _answered(bench, subject, cases) if cases else Measured(value=None, words=NO_NUMBERS)


def scale_answers(bench: Bench, subject: Subject) -> Measured:
    """Measure how many answers change with the unit of the column that matters most."""
    columns = _numeric(bench)
    if not columns:
        return Measured(value=None, words=NO_NUMBERS)
    rows = bench.some(100)
    before = subject.predict(rows)
    n, found = len(before["predictions"]), []
    for column in columns:
        try:
            after = subject.predict(column.set_in(rows, _scaled(column, rows, 0.001)))
        except SubjectRaised:
            continue  # the check of the scale itself tells it
        found.append((_turned(bench, before, after), column.name))
    most, name = max(found, default=(0, columns[0].name))
    details = [(label, f"{count}/{n}") for count, label in sorted(found, reverse=True)[:8]]
    return Measured(
        value=share(most, n), words=UNIT, values={"column": name, "bad": most, "n": n}, details=details
    )


def constant(bench: Bench, subject: Subject) -> Measured:
    """Answer rows of which one column stands still, and rows that are all the same, which must be answered alike."""
    rows = bench.some(4 * _ROWS)
    cases = [
        Case(label=column.name, rows=column.set_in(rows, column.of(rows)[0])) for column in bench.columns()
    ]
    still = {name: np.repeat(array[:1], len(array), axis=0) for name, array in rows.items()}
    n, bad, details = probe(bench, subject, [*cases, Case(label="all columns", rows=still)], apart=True)
    try:
        answer = subject.predict(still)
        alike, _ = bench.differing(answer, {k: np.repeat(v[:1], len(v), axis=0) for k, v in answer.items()})
    except SubjectRaised:
        alike = 0  # counted above
    bad += alike
    if alike:
        details.append(("all columns", f"{alike} equal rows answered otherwise than the first"))
    return Measured(value=share(bad, n), words=ANSWERED, values={"bad": bad, "n": n}, details=details)


def _answered(bench: Bench, subject: Subject, cases: list[Case]) -> Measured:
    n, bad, details = probe(bench, subject, cases)
    return Measured(value=share(bad, n), words=ANSWERED, values={"bad": bad, "n": n}, details=details)


def _turned(bench: Bench, before: Any, after: Any) -> int:
    if bench.is_classifier:
        return int((before["predictions"] != after["predictions"]).sum())
    spread = float(np.std(before["predictions"])) or 1.0
    return int((np.abs(before["predictions"] - after["predictions"]) > 0.1 * spread).sum())


def _numeric(bench: Bench) -> list[Column]:
    return [column for column in bench.columns() if not column.is_text and column.spec.datatype != "BOOL"]


def _set(bench: Bench, column: Column, value: Any, shown: str = "") -> Case:
    rows = bench.some(_ROWS)
    if not (column.is_text or column.is_float):
        limits = np.iinfo(rows[column.spec.name].dtype)
        value = int(min(max(value, limits.min), limits.max))
    label = f"{column.name} = {shown or short(value)}"
    return Case(label=label, rows=column.set_in(rows, value))


def _scaled(column: Column, rows: Any, factor: float) -> Any:
    values = column.of(rows).astype(float) * factor
    if column.is_float:
        return values
    limits = np.iinfo(rows[column.spec.name].dtype)
    return np.clip(values, limits.min, limits.max)


def _holes(bench: Bench) -> dict[str, Any]:
    made = {}
    for spec in bench.signature.inputs:
        array = bench.some(4 * _ROWS)[spec.name].copy()
        if spec.datatype.startswith("FP") and spec.nullable:
            array[bench.rng.random(array.shape) < _MISSING_SHARE] = np.nan
        made[spec.name] = array
    return made
