"""Run a pipeline aside: on the inputs of another run, in a workspace of its own that goes when it is done. Worker only.

What the pipeline writes (data sets, models, results of steps) is seen by nobody, and no result of a step is found again
or kept for later, so that production goes on as if it had not run. It runs in a process of its own which may not have
effects outside of that workspace (`walls`), unless its schedule lets it.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from noria.core.config import DEFAULT_PROJECT, Settings
from noria.core.errors import ErrorBody, Failed, NoriaError, NotFound
from noria.core.objects.trees import read_manifest
from noria.core.serialisation import to_builtins
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import dataset
from noria.data.entities import DatasetKind
from noria.decisions.aside_child import FREE
from noria.decisions.pipeline_entities import RanAside
from noria.pipelines.failures import told
from noria.pipelines.loading import load_pipeline
from noria.pipelines.runner import run_pipeline

_LOG = "_delta_log/"
_WISH, _ANSWER, _ROWS = "wish.json", "answer.json", "rows.parquet"
_TEMPORARY = "tmp"
_OURS = "NORIA_"
_DENIED = (os.strerror(errno.EACCES), "readonly database")
"""How libraries that are not of Python tell that the kernel refused."""


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    target: str
    params: dict[str, Any]
    made: str


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    steps: list[tuple[str, list[str]]] = []
    error: ErrorBody | None = None
    refused: list[str] = []


class RefusedAside(Failed):
    """A pipeline would have had effects outside of Noria, where none are wanted."""

    code = "refused_aside"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}; run aside, a pipeline may neither connect to anything nor write outside of its folder, unless "
            'its table in `[[schedules]]` says `aside = "free"`'
        )


def run_aside(
    workspace: Workspace, target: str, params: dict[str, Any], reads: list[str], made: str, free: bool = False
) -> dict[str, Any]:
    """Run a pipeline of the code in the working folder on versions of data sets.

    Parameters
    ----------
    reads
        Data sets that it reads, each by name and version, whichever versions there are by now.
    made
        Name of the data set whose rows are wanted.
    free
        Whether it may have effects outside of Noria.

    Returns
    -------
    dict
        A `RanAside` as JSON.

    Raises
    ------
    RefusedAside
        If it fails since it may not connect to something, or write somewhere.
    NoriaError
        If the pipeline is not there, does not take the parameters, or raises.
    """
    with tempfile.TemporaryDirectory(prefix="noria-aside-") as name:
        folder = Path(name)
        with _scratch(folder) as scratch:
            numbers = {ref: _copied(workspace, scratch, ref, folder) for ref in reads}
        wish = _Wish(target=target, params=_renamed(params, numbers), made=made)
        (folder / _WISH).write_bytes(msgspec.json.encode(wish))
        answer = _run_apart(folder, free=free)
        rows = folder / _ROWS
        stored = workspace.objects().put_file(rows).digest if rows.exists() else None
    found: dict[str, Any] = to_builtins(RanAside(steps=answer.steps, rows=stored))
    return found


def answer_aside(folder: Path, refused: list[str]) -> None:
    """Run the pipeline of the wish in a folder, and leave the answer there; in the process that `run_aside` starts.

    Parameters
    ----------
    refused
        What the walls refuse, as it comes.
    """
    wish = msgspec.json.decode((folder / _WISH).read_bytes(), type=_Wish)
    try:
        answer = _Answer(steps=_run(folder, wish))
    except NoriaError as error:
        answer = _Answer(error=error.to_body(), refused=refused)
    except Exception as error:  # noqa: BLE001 - the pipeline is the user's: it may raise anything
        answer = _Answer(error=ErrorBody(code=Failed.code, message=told(error)), refused=refused)
    (folder / _ANSWER).write_bytes(msgspec.json.encode(answer))


def _run(folder: Path, wish: _Wish) -> list[tuple[str, list[str]]]:
    with _scratch(folder) as scratch:
        loaded = load_pipeline(wish.target, root=Path.cwd())
        result = run_pipeline(scratch, loaded.pipeline, wish.params, source=loaded.source)
        frame = _rows(scratch, wish.made)
    if frame is not None:
        frame.write_parquet(folder / _ROWS)
    return [
        (
            step.step if step.occurrence == 0 else f"{step.step} {step.occurrence + 1}",
            [stored.digest for stored in step.outputs],
        )
        for step in result.steps
    ]


def _run_apart(folder: Path, *, free: bool) -> _Answer:
    """Have a process run the wish, and read its answer."""
    (folder / _TEMPORARY).mkdir()
    command = [sys.executable, "-m", "noria.decisions.aside_child", str(folder)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    environment = {**kept, "TMPDIR": str(folder / _TEMPORARY), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        [*command, FREE] if free else command, env=environment, stdin=subprocess.DEVNULL, check=False
    )
    place = folder / _ANSWER
    if not place.exists():
        raise Failed(f"The process of the pipeline ended with exit code {ended.returncode}, without a word")
    answer = msgspec.json.decode(place.read_bytes(), type=_Answer)
    if answer.error is None:
        return answer
    message = answer.error.message
    if answer.refused or (not free and any(words in message for words in _DENIED)):
        raise RefusedAside(message)
    raise Failed(message, hint=answer.error.hint)


@contextmanager
def _scratch(folder: Path) -> Iterator[Workspace]:
    """Open the workspace in a folder that the pipeline runs in."""
    # No table of the project's file: its `[notify]` must not tell people of runs that nobody asked for.
    settings = Settings(
        workspace=str(folder),
        database_url=f"sqlite:///{folder}/noria.db",
        objects_url=f"{folder}/objects",
        project=DEFAULT_PROJECT,
        project_root=Path.cwd(),
    )
    with open_workspace(settings, send_left=False) as opened:
        yield opened


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


def _rows(scratch: Workspace, made: str) -> pl.DataFrame | None:
    handle = dataset(made, workspace=scratch)
    try:
        version = handle.current
    except NotFound:
        return None
    return pl.DataFrame(handle.arrays()) if version.kind is DatasetKind.ARRAYS else handle.polars()


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
