"""What another process must know of where a run works, and whether it is in the same place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from noria.core.config import Settings
from noria.core.errors import Invalid
from noria.core.key import read_key
from noria.core.lineage import CodeOrigin
from noria.core.objects.digests import hash_bytes
from noria.core.workspace import InProcess, Workspace
from noria.pipelines.authoring import Pipeline
from noria.pipelines.executors.work import Setup
from noria.pipelines.failures import StepFailed
from noria.pipelines.loading import CodeSource, is_packaged_pipeline
from noria.tracking.entities import Run


class WorkspaceNotShared(StepFailed):
    """The folder of the workspace is not there where a step runs."""

    code = "workspace_not_shared"

    def __init__(self, folder: str) -> None:
        super().__init__(
            f"The workspace `{folder}` is a folder that the worker of the cluster does not see",
            hint="Start a server with `noria up` on an address that the workers reach and name it by "
            "`NORIA_WORKSPACE=http://HOST:PORT`, or put the folder where all machines see it",
        )


def seal_of(settings: Settings) -> str | None:
    """Tell the folder of a workspace from another one at the same place of another machine; None without a folder."""
    if settings.is_remote:
        return None
    key = read_key(settings.folder)
    return hash_bytes(key.encode()) if key else "none"


def make_setup(
    workspace: Workspace,
    pipeline: Pipeline[..., Any],
    run: Run,
    source: CodeSource,
    origin: CodeOrigin,
    *,
    shares_files: bool,
) -> Setup:
    """Say what another process needs to know to run the steps of a pipeline.

    Parameters
    ----------
    origin
        Of the run, with the digest of the project's code.
    shares_files
        Whether it runs on this machine.

    Raises
    ------
    Invalid
        If the code cannot travel to another machine.
    """
    settings, module = workspace.settings, pipeline.function.__module__
    main = Path(pipeline.function.__code__.co_filename).resolve() if module == "__main__" else None
    travels = not shares_files and not is_packaged_pipeline(pipeline, source.root)
    if travels and origin.snapshot is None:
        raise Invalid(
            f"The code of `{source.target}` is too large to travel to a cluster",
            hint="Keep code alone in the folder of `noria.toml`, or run with `--workers`",
        )
    return Setup(
        workspace=settings.workspace,
        project=run.project,
        token=settings.token if shares_files else _token(workspace, run),
        database_url=settings.database_url,
        objects_url=settings.objects_url,
        direct=isinstance(workspace.backend, InProcess),
        root="" if travels else str(source.root),
        snapshot=origin.snapshot if travels else None,
        shares_files=shares_files,
        seal=None if shares_files else seal_of(settings),
        search_path=_inside(source.root) if travels else list(sys.path) if shares_files else [],
        arguments=list(sys.argv),
        main=_main(main, source.root if travels else None),
        modules=[] if module == "__main__" else [module],
        run=run,
        origin=origin,
    )


def _token(workspace: Workspace, run: Run) -> str | None:
    """Give what steps on other machines show to a server: never what was given to this process."""
    if not workspace.settings.is_remote:
        return None
    from noria.pipelines.service import PipelineRuns

    return workspace.service(PipelineRuns).issue_token(run.project, run.id).token


def _inside(root: Path) -> list[str]:
    """Give the folders below the root in which modules are found, seen from there."""
    places = [Path(entry or ".").resolve() for entry in sys.path]
    inside = [place.relative_to(root).as_posix() for place in places if place.is_relative_to(root)]
    return list(dict.fromkeys([*inside, "."]))


def _main(main: Path | None, root: Path | None) -> str | None:
    if main is None or not main.exists():
        return None
    return main.relative_to(root).as_posix() if root is not None and main.is_relative_to(root) else str(main)
