"""How columns of an input become a model's inputs, and a model's outputs become columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from noria.core.errors import Invalid, near
from noria.registry.entities import ServableVersion, Signature, TensorSpec
from noria.registry.signatures import dtype_of

ROW = "row"
PREDICTION = "prediction"
VERSION = "model_version"
PROBABILITY = "probability_"

_TEXTS = (pl.Categorical, pl.Enum)


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """Where an input of a model comes from.

    Attributes
    ----------
    columns
        One column, which may hold lists; or as many as the input is wide.
    """

    name: str
    columns: tuple[str, ...]


def bind(signature: Signature, schema: Mapping[str, pl.DataType], copied: Sequence[str]) -> list[Binding]:
    """Find the columns of each input of a model.

    By its name; the only input of a model of matrices may also be made of columns side by side, which are then all
    numeric columns that are not copied, in their order.

    Raises
    ------
    Invalid
        If a column is missing, or there are more or fewer than the matrix is wide.
    """
    for name in copied:
        _check_known(name, schema, "Name a column of the input")
    taken = {ROW, PREDICTION, VERSION}.intersection(copied)
    if taken:
        raise Invalid(
            f"The input's column `{min(taken)}` has the name of a column of the output",
            hint="Rename it, or do not copy it",
        )
    return [_bound(spec, signature, schema, copied) for spec in signature.inputs]


def _bound(
    spec: TensorSpec, signature: Signature, schema: Mapping[str, pl.DataType], copied: Sequence[str]
) -> Binding:
    if spec.name in schema:
        return Binding(name=spec.name, columns=(spec.name,))
    if len(spec.shape) != 2 or len(signature.inputs) != 1:
        _check_known(spec.name, schema, "The model needs it as an input")
    width = spec.shape[1]
    found = [name for name, kind in schema.items() if name not in copied and _is_number(kind)]
    if len(found) != width:
        raise Invalid(
            f"The model takes {width} numbers a row, and the input has {len(found)} columns of numbers"
            " besides those that are copied",
            hint="Name the columns that are no features with `--key` or `--keep`"
            if len(found) > width
            else "Give the columns that the model was fitted on, in their order",
        )
    return Binding(name=spec.name, columns=tuple(found))


def _check_known(name: str, schema: Mapping[str, pl.DataType], why: str) -> None:
    if name in schema:
        return
    close = near(name, schema)
    raise Invalid(f"The input has no column `{name}`", hint=f"Did you mean `{close}`?" if close else f"{why}")


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind == pl.Boolean


def needed(bindings: Sequence[Binding], copied: Sequence[str]) -> list[str]:
    """Give the columns to read, each once."""
    return list(dict.fromkeys([*(c for binding in bindings for c in binding.columns), *copied]))


def arrays_of(frame: pl.DataFrame, bindings: Sequence[Binding], signature: Signature) -> dict[str, Any]:
    """Give the model's inputs of rows."""
    specs = {spec.name: spec for spec in signature.inputs}
    return {binding.name: _array(frame, binding, specs[binding.name]) for binding in bindings}


def _array(frame: pl.DataFrame, binding: Binding, spec: TensorSpec) -> NDArray[Any]:
    if len(spec.shape) == 1:
        return _column(frame.get_column(binding.columns[0]))
    if len(binding.columns) > 1 or not frame.schema[binding.columns[0]].is_nested():
        return np.asarray(frame.select(binding.columns).to_numpy())
    column = frame.get_column(binding.columns[0])
    if isinstance(column.dtype, pl.List):
        lengths = column.list.len().unique()
        if spec.shape[1:] and lengths.len() == 1 and lengths.item() is not None:
            column = column.list.to_array(int(lengths.item()))
    return np.asarray(column.to_numpy())


def _column(column: pl.Series) -> NDArray[Any]:
    if column.dtype.base_type() in _TEXTS:
        column = column.cast(pl.String)
    found = np.asarray(column.to_numpy())
    return found.astype(str) if column.dtype == pl.String and not column.null_count() else found


def unfit_rows(inputs: Mapping[str, Any], signature: Signature) -> NDArray[np.bool_]:
    """Tell which rows hold what their signature does not take: missing or infinite numbers, missing texts."""
    n_rows = len(next(iter(inputs.values())))
    unfit = np.zeros(n_rows, dtype=np.bool_)
    for spec in signature.inputs:
        array = np.asarray(inputs[spec.name])
        if array.dtype.kind == "f":
            # A whole number that is missing has become NaN.
            nullable = spec.nullable and spec.datatype.startswith("FP")
            bad = np.isinf(array) if nullable else ~np.isfinite(array)
        elif array.dtype.kind == "O":
            bad = np.frompyfunc(lambda value: value is None, 1, 1)(array).astype(bool)
        else:
            continue
        unfit |= bad.reshape(n_rows, -1).any(axis=1)
    return unfit


def fit_for(spec: TensorSpec, array: NDArray[Any]) -> NDArray[Any]:
    """Give a column of which unfit rows were taken out in the type that its missing values had hidden."""
    wanted = dtype_of(spec)
    if array.dtype.kind == "f" and wanted.kind in "ib":
        return array.astype(wanted)
    return array.astype(str) if array.dtype.kind == "O" and wanted.kind == "U" else array


def output_frame(
    outputs: Mapping[str, NDArray[Any]],
    version: ServableVersion,
    *,
    rows: range,
    copied: pl.DataFrame,
    probabilities: bool,
    unfit: NDArray[np.bool_] | None = None,
) -> pl.DataFrame:
    """Give the output rows of input rows, in their order.

    Parameters
    ----------
    rows
        Their numbers in the whole input.
    unfit
        Which of them have no prediction; the outputs are of the others.
    """
    columns = [pl.Series(ROW, np.arange(rows.start, rows.stop, dtype=np.int64))]
    columns += copied.get_columns()
    columns += [_series(PREDICTION, outputs["predictions"], unfit)]
    if probabilities:
        columns += [
            _series(f"{PROBABILITY}{label}", outputs["probabilities"][:, at], unfit)
            for at, label in enumerate(version.classes or ())
        ]
    columns.append(pl.Series(VERSION, np.full(len(rows), version.version, dtype=np.int32)))
    return pl.DataFrame(columns)


def check_probabilities(version: ServableVersion) -> None:
    """Refuse to write probabilities of a version that gives none.

    Raises
    ------
    Invalid
        If it is no classifier that gives them.
    """
    names = [spec.name for spec in version.signature.outputs]
    if "probabilities" not in names or not version.classes:
        raise Invalid(f"`{version.ref}` gives no probabilities", hint="Leave `--probabilities` out")


def empty_outputs(signature: Signature) -> dict[str, NDArray[Any]]:
    """Give the outputs for no rows."""
    found = {}
    for spec in signature.outputs:
        kind = dtype_of(spec)
        found[spec.name] = np.empty((0, *spec.shape[1:]), dtype="<U1" if kind.kind == "U" else kind)
    return found


def _series(name: str, values: NDArray[Any], unfit: NDArray[np.bool_] | None) -> pl.Series:
    array = np.ascontiguousarray(values)
    found = pl.Series(name, array.astype(str).tolist() if array.dtype.kind in "USO" else array)
    if array.dtype.kind in "USO":
        found = found.cast(pl.String)
    if unfit is None or not unfit.any():
        return found
    places = np.cumsum(~unfit) - 1
    taken = pl.Series(
        [None if bad else int(at) for bad, at in zip(unfit, places, strict=True)], dtype=pl.Int64
    )
    return found.gather(taken) if found.len() else pl.Series(name, [None] * len(unfit), dtype=found.dtype)
