"""Rows and columns as people write them, into arrays that fit a model's signature."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from numpy.typing import NDArray

from noria.core.errors import Invalid, TooLarge
from noria.registry.entities import Signature, TensorSpec
from noria.registry.signatures import InputInvalid, check_inputs
from noria.serving.modelserver.protocol import ReadInputs, hint_on_numbers
from noria.serving.modelserver.tensors import MAX_ROWS, array_of_values

_TRUTHS = {"true": True, "false": False}


def decoded(body: bytes) -> Any:
    """Decode JSON.

    Raises
    ------
    Invalid
        If it is none, or is nested too deeply.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"The body is not JSON: {error}", hint=hint_on_numbers(body)) from error
    except RecursionError as error:
        raise Invalid("The request is nested too deeply") from error


def of_columns(columns: Mapping[str, Any], signature: Signature) -> ReadInputs:
    """Read values by input, each a list of as many values as there are rows.

    Raises
    ------
    InputInvalid
        If they do not fit the signature; `details` names the input.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        spec = specs.get(name)
        # What has no place is named by the check below, whatever it holds.
        arrays[name] = [] if spec is None else _array(spec, values)
    checked = check_inputs(signature, arrays)
    return ReadInputs(checked, len(next(iter(checked.values()), ())))


def of_table(names: Sequence[str] | None, rows: Any, signature: Signature) -> ReadInputs:
    """Read rows of values.

    Parameters
    ----------
    names
        Of the columns; None for the order of the signature. A model of one matrix takes columns of any name.
    rows
        One list for each row.

    Raises
    ------
    InputInvalid
        If they do not fit the signature; `details` names the input.
    """
    _check_count(rows)
    specs = signature.inputs
    matrix = len(specs) == 1 and len(specs[0].shape) > 1
    if matrix and (names is None or list(names) != [specs[0].name]):
        return of_columns({specs[0].name: rows}, signature)
    wanted = [spec.name for spec in specs] if names is None else list(names)
    if len(set(wanted)) < len(wanted):
        raise Invalid("A column is given twice", details={"field": "columns"})
    if names is None and len(specs) == 1:
        rows = [row if isinstance(row, list) and len(row) == 1 else [row] for row in rows]
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(wanted):
            n = len(row) if isinstance(row, list) else 1
            raise InputInvalid(
                _first_missing(wanted, n),
                f"Row {number} has {n} values",
                f"The columns are {', '.join(wanted)}"[:300],
            )
    return of_columns(dict(zip(wanted, map(list, zip(*rows, strict=True)), strict=True)), signature)


def of_records(records: Any, signature: Signature) -> ReadInputs:
    """Read rows that are objects: values by the name of their column.

    Raises
    ------
    InputInvalid
        If they do not fit the signature, or do not all have the same columns; `details` names one.
    """
    _check_count(records)
    first = records[0]
    if not all(isinstance(record, dict) for record in records):
        raise Invalid("The rows are not all objects")
    names = list(first)
    for number, record in enumerate(records):
        if record.keys() != first.keys():
            missing = next((name for name in names if name not in record), names[0] if names else "")
            raise InputInvalid(str(missing)[:100], f"Row {number} has other columns than the first row")
    return of_table(names, [list(record.values()) for record in records], signature)


def of_csv(body: bytes, signature: Signature) -> ReadInputs:
    """Read lines of values behind a line of names.

    Raises
    ------
    Invalid
        If it is not such a table in UTF-8.
    InputInvalid
        If it does not fit the signature; `details` names the input.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(body.decode("utf-8"))) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Invalid(f"The body is not CSV in UTF-8: {error}") from error
    if len(lines) < 2:
        raise Invalid("A table in CSV has a line of names and at least one line of values")
    _check_count(lines[1:])
    names, specs = lines[0], {spec.name: spec for spec in signature.inputs}
    kinds = [specs.get(name) or signature.inputs[0] for name in names]
    rows = [[_value(spec, text) for spec, text in zip(kinds, line, strict=False)] for line in lines[1:]]
    for number, (row, line) in enumerate(zip(rows, lines[1:], strict=True)):
        if len(line) != len(names):
            missing = _first_missing(names, len(line))
            raise InputInvalid(
                missing, f"Row {number} has {len(line)} values, and there are {len(names)} names"
            )
        del row[len(names) :]
    return of_table(names, rows, signature)


def _value(spec: TensorSpec, text: str) -> Any:
    if spec.datatype == "BYTES":
        return text
    if spec.datatype == "BOOL":
        return _TRUTHS.get(text.strip().lower(), text)
    if not text.strip():
        return None
    try:
        return float(text) if spec.datatype.startswith("FP") else int(text)
    except ValueError:
        return text


def _array(spec: TensorSpec, values: Any) -> NDArray[Any]:
    if not isinstance(values, list):
        raise InputInvalid(spec.name, f"The input `{spec.name}` is no list of values, one for each row")
    _check_count(values)
    return array_of_values(spec.name, spec.datatype, len(spec.shape), values)


def _check_count(rows: Any) -> None:
    if not isinstance(rows, list) or not rows:
        raise Invalid("There are no rows", hint="Send a list of rows")
    if len(rows) > MAX_ROWS:
        raise TooLarge(
            f"The request has {len(rows)} rows; at most {MAX_ROWS} go into one", hint="Send them in parts"
        )


def _first_missing(names: Sequence[str], n_given: int) -> str:
    return (names[n_given] if n_given < len(names) else names[-1] if names else "")[:100]
