"""Answers that must not depend on company, order, time or process."""

from __future__ import annotations

from typing import Any

import numpy as np

from noria.registry.golden import compare_golden
from noria.registry.validation.bench import Bench, Measured, share, short
from noria.registry.validation.port import Arrays, Subject
from noria.registry.validation.words import NO_GOLDEN, SAME

_ALONE = 16
_MANY = 10_000
_MANY_BYTES = 64 << 20


def golden(bench: Bench, subject: Subject) -> Measured:
    """Answer the golden batch as at registration."""
    batch = bench.golden
    if batch is None:
        return Measured(value=None, words=NO_GOLDEN)
    answer = subject.predict(batch.inputs)
    found = compare_golden(batch, batch.features, answer, tolerance=_golden_tolerance(bench, batch))
    return Measured(
        value=share(found.n_flips, found.n_rows),
        words=SAME,
        values={"bad": found.n_flips, "n": found.n_rows, "error": short(found.largest_output_error)},
    )


def permuted(bench: Bench, subject: Subject) -> Measured:
    """Answer rows in another order as before."""
    order = bench.rng.permutation(bench.n)
    return _compared(bench, _at(subject.predict(bench.rows), order), subject.predict(_at(bench.rows, order)))


def duplicated(bench: Bench, subject: Subject) -> Measured:
    """Answer each row alike when it comes twice."""
    twice = np.repeat(np.arange(bench.n), 2)
    return _compared(bench, _at(subject.predict(bench.rows), twice), subject.predict(_at(bench.rows, twice)))


def columns(bench: Bench, subject: Subject) -> Measured:
    """Answer rows whose inputs are named in another order as before."""
    turned = dict(reversed(list(bench.rows.items())))
    return _compared(bench, subject.predict(bench.rows), subject.predict(turned))


def one_row(bench: Bench, subject: Subject) -> Measured:
    """Answer a row alone as in company."""
    n = min(_ALONE, bench.n)
    single = [subject.predict(_at(bench.rows, np.array([i]))) for i in range(n)]
    together = {name: np.concatenate([each[name] for each in single]) for name in single[0]}
    return _compared(bench, _at(subject.predict(bench.rows), np.arange(n)), together)


def many_rows(bench: Bench, subject: Subject) -> Measured:
    """Answer thousands of rows at once, each as in a small company."""
    width = sum(array.nbytes // len(array) for array in bench.rows.values())
    wanted = np.arange(max(bench.n, min(_MANY, _MANY_BYTES // max(1, width)))) % bench.n
    return _compared(
        bench, _at(subject.predict(bench.rows), wanted), subject.predict(_at(bench.rows, wanted))
    )


def determinism(bench: Bench, subject: Subject) -> Measured:
    """Answer the same rows alike each time."""
    first, last = subject.predict(bench.rows), Measured(value=0.0, words=SAME)
    for _ in range(3):
        last = _compared(bench, first, subject.predict(bench.rows))
        if last.value:
            break
    return last


def restart(bench: Bench, subject: Subject) -> Measured:
    """Answer as before after the model was loaded anew."""
    before = subject.predict(bench.rows)
    subject.restart()
    return _compared(bench, before, subject.predict(bench.rows))


def _compared(bench: Bench, before: Arrays, after: Arrays) -> Measured:
    n = len(before["predictions"])
    bad, error = bench.differing(before, after)
    return Measured(value=share(bad, n), words=SAME, values={"bad": bad, "n": n, "error": short(error)})


def _golden_tolerance(bench: Bench, batch: Any) -> float:
    before = np.asarray(batch.outputs["predictions"])
    largest = float(np.max(np.abs(before), initial=1.0)) if before.dtype.kind == "f" else 1.0
    # Another engine that was proven equal may answer: it was held to no less than this.
    allowed = bench.equality.tolerance if bench.equality is not None and bench.equality.equal else 0.0
    return max(bench.settings.tolerance, allowed) * max(1.0, largest)


def _at(arrays: Arrays, rows: Any) -> dict[str, Any]:
    return {name: array[rows] for name, array in arrays.items()}
