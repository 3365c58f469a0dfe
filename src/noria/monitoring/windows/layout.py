"""What the rows of a version are counted in: the cells of its reference, those of its predictions, its segments."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from noria.core.errors import near
from noria.core.stats.columns import flatten_columns
from noria.core.stats.profiles import TableProfile, profile_table
from noria.core.stats.samples import is_missing, labels
from noria.monitoring.drift import FEWEST_ROWS
from noria.monitoring.reference import Reference, no_reference
from noria.monitoring.windows.segments import Segmenting, segmenting
from noria.monitoring.windows.vectors import Vector, vectors_of
from noria.registry.entities import Signature, Task, TensorSpec
from noria.registry.signatures import stack_rows
from noria.serving.captured_blocks import Block
from noria.serving.predictions import Prediction

_OUTPUT: Final = "predictions"
PREDICTIONS: Final = f"output {_OUTPUT}"
"""Name of the answers among the columns."""

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the rows of a version are counted in.

    Attributes
    ----------
    name
        Equal for equal cells and segments.
    profiles
        Of the inputs that are compared, and of the predictions, by segment: that of the reference's own rows of the
        segment, since a part is unlike the whole by what it is. Empty for all rows.
    vectors
        Inputs that are compared as a whole as well, by segment.
    lacks
        What cannot be looked at, and what would mend it.
    """

    name: str
    profiles: Mapping[str, TableProfile]
    signature: Signature
    is_classifier: bool
    segments: tuple[Segmenting, ...]
    vectors: Mapping[str, tuple[Vector, ...]]
    lacks: tuple[str, ...]

    @property
    def profile(self) -> TableProfile:
        """Of all rows."""
        return self.profiles[""]

    def columns(self, block: Block) -> Columns:
        """Give rows as columns: what does not fit the signature, or was not answered, is missing."""
        if block.rows is None:
            arrays = _arrays(self.signature, block)
            if arrays is None:  # something is not as the model takes it: each row is looked at for itself
                return self.columns(replace(block, rows=block.values()))
            found = flatten_columns(arrays)
        else:
            found = _stacked(self.signature, [inputs for inputs, _ in block.rows])
        if PREDICTIONS in self.profile.columns:
            found[PREDICTIONS] = _answers(block, as_labels=self.is_classifier)
        return found


def laid_out(
    reference: Reference, model: str, *, segment_columns: Sequence[str] = (), segment_values: int = 10
) -> Layout:
    """Give `lay_out` of a reference that this process read once, made once."""
    return _laid_out(_Read(reference), model, tuple(segment_columns), segment_values)


class _Read:
    """A reference; equal where it is the same version and its arrays are the very same."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference

    def __eq__(self, other: object) -> bool:
        mine, theirs = self.reference, other.reference if isinstance(other, _Read) else None
        return (
            theirs is not None
            and mine.version.id == theirs.version.id
            and mine.columns is theirs.columns
            and mine.predictions is theirs.predictions
            and mine.golden is theirs.golden
        )

    def __hash__(self) -> int:
        return hash(self.reference.version.id)


@lru_cache(maxsize=16)
def _laid_out(read: _Read, model: str, segment_columns: tuple[str, ...], segment_values: int) -> Layout:
    return lay_out(read.reference, model, segment_columns=segment_columns, segment_values=segment_values)


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
    answers = _reference_answers(reference)
    if answers is None:
        lacks.append(
            f"Version {reference.version.version} has no golden batch with one answer a row: "
            "its predictions are not compared"
        )
    profiles = {"": _profile(columns, answers)}
    signature = reference.version.signature
    vectors = {"": vectors_of(signature, columns, profiles[""])}
    for cut in cuts:
        profiles |= _of_segments(cut, columns, answers, reference.golden)
        for name, some in _parted(cut, columns):
            vectors[name] = vectors_of(signature, some, profiles[name])
    few = [name for name, profile in profiles.items() if name and profile.n_rows and not profile.columns]
    if few:
        named = ", ".join(f"`{name}`" for name in few[:5])
        lacks.append(
            f"The reference has fewer than {FEWEST_ROWS} rows to compare these segments with: {named}"
        )
    return Layout(
        name=hashlib.blake2b(msgspec.json.encode([profiles, cuts]), digest_size=8).hexdigest(),
        profiles=profiles,
        signature=signature,
        is_classifier=reference.task is Task.CLASSIFICATION,
        segments=tuple(cuts),
        vectors=vectors,
        lacks=tuple(lacks),
    )


def _reference_answers(reference: Reference) -> NDArray[Any] | None:
    if reference.predictions is None:
        return None
    if reference.task is Task.CLASSIFICATION:
        return _as_labels(reference.predictions.tolist())
    return reference.predictions.astype(float)


def _of_segments(
    cut: Segmenting, columns: Columns, answers: NDArray[Any] | None, golden: Mapping[str, Any]
) -> dict[str, TableProfile]:
    """Profile the rows of each segment; those of the golden batch are parted by their own inputs."""
    held = cut.of(_like(columns[cut.column], golden[cut.column])) if cut.column in golden else None
    found = {}
    for place, (name, some) in enumerate(_parted(cut, columns)):
        n_rows = len(some[cut.column])
        if n_rows < FEWEST_ROWS:
            found[name] = TableProfile(n_rows=n_rows, columns={})
            continue
        mine = answers[held == place] if answers is not None and held is not None else None
        found[name] = _profile(some, mine if mine is not None and mine.size >= FEWEST_ROWS else None)
    return found


def _parted(cut: Segmenting, columns: Columns) -> Iterator[tuple[str, Columns]]:
    """Give each segment with its rows."""
    places = cut.of(columns[cut.column])
    for place, name in enumerate(cut.names):
        inside = places == place
        yield name, {column: values[inside] for column, values in columns.items()}


def _like(column: NDArray[Any], values: Any) -> NDArray[Any]:
    array = np.asarray(values)
    return array.astype(float) if column.dtype.kind == "f" else _as_labels(array.tolist())


def _profile(columns: Columns, answers: NDArray[Any] | None) -> TableProfile:
    # Each for itself: a golden batch has fewer rows than a reference sample.
    every = columns if answers is None else {**columns, PREDICTIONS: answers}
    profiled = {name: profile_table({name: column}).columns[name] for name, column in every.items()}
    return TableProfile(n_rows=max((p.n_rows for p in profiled.values()), default=0), columns=profiled)


def unknown_segment(column: str, known: Sequence[str], ref: str) -> str:
    """Say that rows cannot be parted by a column, and name the near one."""
    close = near(column, known)
    mend = (
        f"did you mean `{close}`?" if close else f"it has {', '.join(f'`{n}`' for n in known[:5]) or 'none'}"
    )
    return f"`[monitors.segments]` names the column `{column}`, which the reference of {ref} does not have: {mend}"


def stacked(signature: Signature, rows: Sequence[Prediction]) -> Columns:
    """Give the inputs of rows as columns of shape (n_rows,): numbers as float64, texts as objects, missing as None."""
    return _stacked(signature, [row.inputs for row in rows])


def _stacked(signature: Signature, inputs: Sequence[Mapping[str, Any]]) -> Columns:
    arrays = {spec.name: _stack(spec, [each.get(spec.name) for each in inputs]) for spec in signature.inputs}
    return flatten_columns(arrays)


def _arrays(signature: Signature, block: Block) -> Columns | None:
    """Give arrays as `_stack` would make them of their values; None where they are of other kinds or shapes."""
    found = {}
    for spec in signature.inputs:
        array = block.inputs.get(spec.name)
        if array is None or array.shape[1:] != tuple(spec.shape[1:]):
            return None
        is_text = array.dtype == object
        if is_text != (spec.datatype == "BYTES") or (is_text and array.ndim > 1):
            return None
        found[spec.name] = array if is_text else array.astype(float)
    return found


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


def _answers(block: Block, *, as_labels: bool) -> NDArray[Any]:
    answers = None if block.rows is not None else block.outputs.get(_OUTPUT)
    if answers is None or answers.ndim > 1 or answers.dtype == object:
        values = [outputs.get(_OUTPUT) for _, outputs in block.values()]
        answers = (
            _as_labels(values) if as_labels else np.array([_number(value) for value in values], dtype=float)
        )
    elif as_labels:
        # Few classes: each is named once.
        classes, places = np.unique(answers, return_inverse=True)
        answers = _as_labels(classes.tolist())[places]
    else:
        answers = answers.astype(float)
    answers[block.failed] = None if as_labels else np.nan
    return answers


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


def new_columns(signature: Signature, block: Block) -> set[str]:
    """Name what rows have that the model does not take."""
    known = {spec.name for spec in signature.inputs}
    if block.rows is None:
        return block.inputs.keys() - known
    return {name for inputs, _ in block.rows if not inputs.keys() <= known for name in inputs.keys() - known}
