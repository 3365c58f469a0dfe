"""Malformed requests: the signature must refuse them, and so should the model itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from noria.core.errors import Invalid
from noria.registry.signatures import check_inputs
from noria.registry.validation.bench import Bench, Case, Measured, share
from noria.registry.validation.port import Subject, SubjectRaised
from noria.registry.validation.words import LET_THROUGH, TAKEN

_ROWS = 4


def wrong_types(bench: Bench, subject: Subject) -> Measured:  # noqa: ARG001 - the door, not the model, is tried
    """Refuse malformed requests by the signature."""
    cases = list(_malformed(bench))
    let = [case.label for case in cases if _is_let_through(bench, case)]
    return Measured(
        value=share(len(let), len(cases)),
        words=LET_THROUGH,
        values={"bad": len(let), "n": len(cases)},
        details=[(label, "") for label in let[:8]],
    )


def wrong_types_model(bench: Bench, subject: Subject) -> Measured:
    """Refuse malformed requests that come past the door, as they do where somebody calls the model by himself."""
    cases = [case for case in _malformed(bench) if not case.label.startswith("an unknown")]
    taken = []
    for case in cases:
        try:
            answer = subject.predict({name: np.asarray(value) for name, value in case.rows.items()})
        except SubjectRaised:
            continue
        taken.append((case.label, str(answer.get("predictions", np.empty(0))[:1].tolist())))
    return Measured(
        value=share(len(taken), len(cases)),
        words=TAKEN,
        values={"bad": len(taken), "n": len(cases)},
        details=taken[:8],
    )


def _malformed(bench: Bench) -> Iterator[Case]:
    """Make requests that are wrong by what training rows hold, whatever the signature says."""
    rows: dict[str, Any] = bench.some(_ROWS)
    name = next(iter(rows))
    yield Case(label=f"`{name}` missing", rows={key: value for key, value in rows.items() if key != name})
    yield Case(label="an unknown input", rows={**rows, "no such input": np.zeros(_ROWS)})
    array = rows[name]
    wider = array[:, None] if array.ndim == 1 else np.concatenate([array, array[:, :1]], axis=1)
    yield Case(
        label=f"`{name}` of another shape", rows={**rows, name: np.concatenate([wider, wider], axis=1)}
    )
    for key, values in rows.items():
        if _holds_numbers(values):
            yield Case(label=f"`{key}` as text", rows={**rows, key: np.full(values.shape, "noria")})
            break


def _holds_numbers(values: Any) -> bool:
    if values.dtype.kind in "biuf":
        return True
    try:
        values.astype(float)
    except ValueError:
        return False
    return True


def _is_let_through(bench: Bench, case: Case) -> bool:
    try:
        check_inputs(bench.signature, case.rows)
    except Invalid:
        return False
    return True
