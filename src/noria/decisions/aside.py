"""Run a pipeline aside: on the inputs of another run, in a workspace of its own that goes when it is done. Worker only.

What the pipeline writes (data sets, models, results of steps) is seen by nobody, and no result of a step is found again
or kept for later, so that production goes on as if it had not run. Effects outside of Noria are those of any run.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from noria.core.config import DEFAULT_PROJECT, Settings
from noria.core.errors import NotFound
from noria.core.objects.trees import read_manifest
from noria.core.serialisation import to_builtins
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import dataset
from noria.data.entities import DatasetKind
from noria.decisions.pipeline_entities import RanAside
from noria.pipelines.loading import load_pipeline
from noria.pipelines.runner import run_pipeline

_LOG = "_delta_log/"


def run_aside(
    workspace: Workspace, target: str, params: dict[str, Any], reads: list[str], made: str
) -> dict[str, Any]:
    """Run a pipeline of the code in the working folder on versions of data sets.

    Parameters
    ----------
    reads
        Data sets that it reads, each by name and version, whichever versions there are by now.
    made
        Name of the data set whose rows are wanted.

    Returns
    -------
    dict
        A `RanAside` as JSON.

    Raises
    ------
    NoriaError
        If the pipeline is not there, does not take the parameters, or raises.
    """
    with tempfile.TemporaryDirectory(prefix="noria-aside-") as folder:
        # No table of the project's file: its `[notify]` must not tell people of runs that nobody asked for.
        settings = Settings(
            workspace=folder,
            database_url=f"sqlite:///{folder}/noria.db",
            objects_url=f"{folder}/objects",
            project=DEFAULT_PROJECT,
            project_root=Path.cwd(),
        )
        with open_workspace(settings, send_left=False) as scratch:
            numbers = {ref: _copied(workspace, scratch, ref, Path(folder)) for ref in reads}
            loaded = load_pipeline(target, root=Path.cwd())
            result = run_pipeline(scratch, loaded.pipeline, _renamed(params, numbers), source=loaded.source)
            steps = [
                (
                    step.step if step.occurrence == 0 else f"{step.step} {step.occurrence + 1}",
                    [stored.digest for stored in step.outputs],
                )
                for step in result.steps
            ]
            rows = _rows(scratch, made)
            stored = None if rows is None else workspace.objects().put_bytes(rows).digest
    found: dict[str, Any] = to_builtins(RanAside(steps=steps, rows=stored))
    return found


def _copied(workspace: Workspace, scratch: Workspace, ref: str, folder: Path) -> str:
    """Copy a version of a data set, and give its name and version there."""
    source = dataset(ref, workspace=workspace)
    version = source.current
    target = dataset(version.name, workspace=scratch)
    if version.kind is DatasetKind.ARRAYS:
        return target.add(source.arrays()).ref
    if version.kind is DatasetKind.TABLE:
        entries = read_manifest(workspace.objects(), version.digest).entries
        is_delta = any(entry.path.startswith(_LOG) for entry in entries)
        write = target.overwrite if is_delta else target.add
        return write(source.polars()).ref
    return target.add(source.checkout(folder / f"files-{version.digest[-16:]}")).ref


def _renamed(value: Any, numbers: Mapping[str, str]) -> Any:
    """Give parameters with the versions that copies have, where one of them is named."""
    if isinstance(value, str):
        return numbers.get(value.removeprefix("dataset:"), value)
    if isinstance(value, list):
        return [_renamed(item, numbers) for item in value]
    if isinstance(value, dict):
        return {key: _renamed(item, numbers) for key, item in value.items()}
    return value


def _rows(scratch: Workspace, made: str) -> bytes | None:
    handle = dataset(made, workspace=scratch)
    try:
        version = handle.current
    except NotFound:
        return None
    frame = pl.DataFrame(handle.arrays()) if version.kind is DatasetKind.ARRAYS else handle.polars()
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def first_difference(
    old: Sequence[tuple[str, Sequence[str]]], new: Sequence[tuple[str, Sequence[str]]]
) -> str | None:
    """Give the first step whose outputs are not the same, or that only one side has; None when there is none.

    Examples
    --------
    >>> first_difference([("a", ["1"]), ("b", ["2"])], [("a", ["1"]), ("b", ["3"])])
    'b'
    >>> first_difference([("a", ["1"]), ("b", ["2"])], [("a", ["1"])])
    'b'
    """
    known = dict(old)
    for step, outputs in new:
        if step not in known or list(known[step]) != list(outputs):
            return step
    names = {step for step, _ in new}
    return next((step for step, _ in old if step not in names), None)
