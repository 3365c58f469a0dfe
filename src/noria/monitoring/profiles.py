"""A reference that is added to a version after it was registered: a version of a data set, named by a tag."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid, NotFound
from noria.core.workspace import Workspace
from noria.data.entities import DatasetVersion
from noria.data.looking import find_version
from noria.data.opening import opened_table
from noria.registry.entities import ModelVersion, ServableVersion, Signature, TagChanges
from noria.registry.golden import REFERENCE_ROWS
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.registry.versions import ModelVersions

REFERENCE_TAG: Final = "noria.reference"
"""The version's tag that names the data set; a sample that came with the version goes before it."""


def add_reference(
    workspace: Workspace, model: str, version: int, data: str
) -> tuple[ModelVersion, list[str]]:
    """Have a version's traffic compared with a version of a data set.

    Parameters
    ----------
    data
        `name`, `name@version` or `name@tag`; what it means now is kept.

    Returns
    -------
    The version, and the columns that its traffic will be compared by.

    Raises
    ------
    Invalid
        If the data has no column that the model takes, or the version has a reference of its own.
    NotFound
        If there is no such version or data.
    NotServable
        If the version lacks its signature.
    """
    found = servable(workspace.service(Models).version(workspace.project, model, version))
    chosen = find_version(workspace, data)
    columns = read_columns(workspace, chosen, found.signature)
    if not columns:
        wanted = ", ".join(f"`{name}`" for name in column_names(found.signature)[:5])
        raise Invalid(f"`{chosen.ref}` has no column that `{found.ref}` takes", hint=f"It takes {wanted}")
    change = TagChanges(tags={REFERENCE_TAG: chosen.ref})
    tagged = workspace.service(ModelVersions).tag(workspace.project, model, found.version, change)
    return tagged, list(columns)


def added_reference(workspace: Workspace, version: ServableVersion) -> dict[str, NDArray[Any]] | None:
    """Read the reference that was added to a version; None when there is none, or it is gone."""
    ref = version.tags.get(REFERENCE_TAG)
    if ref is None:
        return None
    try:
        found = find_version(workspace, ref)
        return _read_once(_Source(workspace, found, version.signature)) or None
    except (NotFound, Invalid):
        return None  # the data is gone, or the tag was changed by hand; the monitor says that it has none


def column_names(signature: Signature) -> list[str]:
    """Name the columns that inputs are flattened to, as `noria.core.stats.columns.flatten_columns` does."""
    names = []
    for spec in signature.inputs:
        shape = tuple(spec.shape[1:])
        if not shape:
            names.append(spec.name)
        else:
            names += [f"{spec.name}[{','.join(map(str, index))}]" for index in np.ndindex(*shape)]
    return names


def read_columns(
    workspace: Workspace, version: DatasetVersion, signature: Signature
) -> dict[str, NDArray[Any]]:
    """Read a sample of up to 5,000 rows, evenly spaced, of the columns that a model takes.

    Columns are found by name. A model of one array of numbers, which has no names, takes the columns in their order
    where there are as many numeric ones as it has features.
    """
    with opened_table(workspace, version) as table:
        rows = np.unique(np.linspace(0, table.n_rows - 1, min(table.n_rows, REFERENCE_ROWS)).astype(np.int64))
        by_name = _sources(column_names(signature), table.schema)
        return {name: table.column(held).gather(rows).to_numpy() for name, held in by_name.items()}


def _sources(wanted: list[str], schema: Mapping[str, Any]) -> dict[str, str]:
    """Say which column of the data each column of the model is."""
    named = {name: name for name in wanted if name in schema}
    if named:
        return named
    numeric = [name for name, kind in schema.items() if kind.is_numeric()]
    return dict(zip(wanted, numeric, strict=True)) if len(wanted) == len(numeric) else {}


class _Source:
    """What to read; equal for equal digests and columns, so that a sample is read once."""

    def __init__(self, workspace: Workspace, version: DatasetVersion, signature: Signature) -> None:
        self.workspace, self.version, self.signature = workspace, version, signature
        self._key = (version.digest, tuple(column_names(signature)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Source) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)


@functools.lru_cache(maxsize=16)
def _read_once(source: _Source) -> dict[str, NDArray[Any]]:
    return read_columns(source.workspace, source.version, source.signature)
