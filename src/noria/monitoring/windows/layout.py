"""What the rows of a version are counted in: the cells of its reference, those of its predictions, its segments."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import near
from noria.core.stats.columns import flatten_columns
from noria.core.stats.profiles import TableProfile, profile_table
from noria.core.stats.samples import is_missing, labels
from noria.monitoring.reference import Reference, no_reference
from noria.monitoring.windows.segments import Segmenting, segmenting
from noria.registry.entities import Signature, Task, TensorSpec
from noria.registry.signatures import stack_rows
from noria.serving.predictions import Prediction

PREDICTIONS: Final = "output predictions"
"""Name of the answers among the columns."""

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the rows of a version are counted in.

    Attributes
    ----------
    name
        Equal for equal cells and segments.
    profile
        Of the inputs that are compared, and of the predictions.
    lacks
        What cannot be looked at, and what would mend it.
    """

    name: str
    profile: TableProfile
    signature: Signature
    is_classifier: bool
    segments: tuple[Segmenting, ...]
    lacks: tuple[str, ...]

    def columns(self, rows: Sequence[Prediction]) -> Columns:
        """Give rows as columns: what does not fit the signature, or was not answered, is missing."""
        found = stacked(self.signature, rows)
        if PREDICTIONS in self.profile.columns:
            found[PREDICTIONS] = _answers(rows, as_labels=self.is_classifier)
        return found


def lay_out(
    reference: Reference, model: str, *, segment_columns: Sequence[str] = (), segment_values: int = 10
) -> Layout:
    """Lay out the counters of a version.

    Parameters
    ----------
    segment_columns
        Columns that part the rows; one that the reference does not have is told of in `lacks`.
    """
    columns, lacks = _inputs(reference, model)
    cuts = []
    for name in segment_columns:
        if name in columns:
            cuts.append(segmenting(name, columns[name], most_values=segment_values))
        else:
            lacks.append(unknown_segment(name, list(columns), reference.version.ref))
    answers = reference.predictions
    is_classifier = reference.task is Task.CLASSIFICATION
    if answers is None:
        lacks.append(
            f"Version {reference.version.version} has no golden batch with one answer a row: "
            "its predictions are not compared"
        )
    else:
        columns[PREDICTIONS] = _as_labels(answers.tolist()) if is_classifier else answers.astype(float)
    # Each for itself: a golden batch has fewer rows than a reference sample.
    profiled = {name: profile_table({name: column}).columns[name] for name, column in columns.items()}
    profile = TableProfile(n_rows=max((p.n_rows for p in profiled.values()), default=0), columns=profiled)
    key = msgspec.json.encode([profile, cuts])
    return Layout(
        name=hashlib.blake2b(key, digest_size=8).hexdigest(),
        profile=profile,
        signature=reference.version.signature,
        is_classifier=is_classifier,
        segments=tuple(cuts),
        lacks=tuple(lacks),
    )


def unknown_segment(column: str, known: Sequence[str], ref: str) -> str:
    """Say that rows cannot be parted by a column, and name the near one."""
    close = near(column, known)
    mend = (
        f"did you mean `{close}`?" if close else f"it has {', '.join(f'`{n}`' for n in known[:5]) or 'none'}"
    )
    return f"`[monitors.segments]` names the column `{column}`, which the reference of {ref} does not have: {mend}"


def stacked(signature: Signature, rows: Sequence[Prediction]) -> Columns:
    """Give the inputs of rows as columns of shape (n_rows,): numbers as float64, texts as objects, missing as None."""
    arrays = {}
    for spec in signature.inputs:
        values = [row.inputs.get(spec.name) for row in rows]
        arrays[spec.name] = _stack(spec, values)
    return flatten_columns(arrays)


def _stack(spec: TensorSpec, values: list[Any]) -> NDArray[Any]:
    shape = tuple(spec.shape[1:])
    if spec.datatype == "BYTES" and not shape:
        texts = np.empty(len(values), dtype=object)
        texts[:] = [
            value if isinstance(value, str) else None if value is None else str(value) for value in values
        ]
        return texts
    try:
        whole = np.array(values, dtype=str if spec.datatype == "BYTES" else float)
    except (TypeError, ValueError):
        whole = None
    if whole is not None and whole.shape == (len(values), *shape):
        return whole
    # At least one row does not fit: each is looked at for itself.
    alone = Signature(inputs=[spec], outputs=[])
    return stack_rows(alone, [{spec.name: value} for value in values])[spec.name]


def _inputs(reference: Reference, model: str) -> tuple[Columns, list[str]]:
    if reference.columns is None:
        return {}, [no_reference(model, reference.version.version)]
    empty = stacked(reference.version.signature, [])
    columns: Columns = {}
    lacks = []
    for name, column in reference.columns.items():
        if name not in empty:
            continue
        read = _read(column, as_text=empty[name].dtype.kind in "OUS")
        if read is None:
            lacks.append(f"The reference of `{name}` holds no numbers, and the model takes numbers")
        elif len(read):
            columns[name] = read
    if not columns and not lacks:
        lacks.append("The reference has no column that the model takes, or no rows")
    return columns, lacks


def _read(column: NDArray[Any], *, as_text: bool) -> NDArray[Any] | None:
    """Give a reference column as the type that rows are stacked to; None where that cannot be."""
    if as_text:
        return _as_labels(column.tolist())
    try:
        return column.astype(float)
    except (TypeError, ValueError):
        return None


def _answers(rows: Sequence[Prediction], *, as_labels: bool) -> NDArray[Any]:
    values = [row.outputs.get("predictions") if row.error is None else None for row in rows]
    if as_labels:
        return _as_labels(values)
    return np.array([_number(value) for value in values], dtype=float)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _as_labels(values: Sequence[Any]) -> NDArray[Any]:
    """Give classes as texts that read the same in every numeric type, missing as None."""
    read = np.empty(len(values), dtype=object)
    read[:] = [None if isinstance(value, (list, dict)) else value for value in values]
    known = ~is_missing(read)
    texts = np.full(len(values), None, dtype=object)
    if known.any():
        texts[known] = labels(read[known], name=PREDICTIONS)[0].astype(object)
    return texts


def new_columns(signature: Signature, inputs: Mapping[str, Any]) -> set[str]:
    """Name what a row has that the model does not take."""
    return set(inputs) - {spec.name for spec in signature.inputs}
