"""Functions that workers run as jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noria.core.errors import Forbidden
from noria.core.workspace import Workspace
from noria.pipelines.executors.choice import ExecutorChoice
from noria.pipelines.job_entities import NewJob
from noria.pipelines.loading import load_pipeline
from noria.pipelines.outputs import Output
from noria.pipelines.runner import PipelineResult, run_pipeline
from noria.pipelines.steplog import LoggedProgress

OWN = "noria."
SNAPSHOT_FOLDER = "code"
_LARGEST_SHOWN_BYTES = 64 * 1024


def pipeline_job(
    target: str,
    params: dict[str, Any],
    *,
    snapshot: str | None,
    key: str | None = None,
    workers: int | None = None,
    on: str | None = None,
    **more: Any,
) -> NewJob:
    """Make the job that runs a pipeline.

    Parameters
    ----------
    target
        `module:pipeline` or `path/file.py:pipeline`, found from the root of the snapshot.
    params
        JSON values.
    snapshot
        Digest from `take_snapshot`; None for a pipeline that comes with Noria.
    workers, on
        Where its steps run: in so many processes beside the job's own, or on a cluster.
    key, more
        Further fields of `NewJob`.
    """
    args: dict[str, Any] = {"target": target, "params": params, "snapshot": snapshot}
    args |= {name: value for name, value in (("workers", workers), ("on", on)) if value is not None}
    entry = f"{__name__}:{run_pipeline_job.__name__}"
    return NewJob(entry=entry, args=args, snapshot=snapshot, key=key, **more)


def run_pipeline_job(
    workspace: Workspace,
    target: str,
    params: dict[str, Any],
    snapshot: str | None = None,
    workers: int | None = None,
    on: str | None = None,
) -> dict[str, Any]:
    """Run a pipeline as a job, in the working folder where its snapshot was opened.

    Returns
    -------
    dict
        `run_id`, and `outputs`: by name the codec and digest, and the value of small plain ones.
    """
    if snapshot is None and not target.startswith(OWN):
        raise Forbidden(
            f"The pipeline `{target}` is not Noria's own and comes without code",
            hint="Submit it with the snapshot of its project",
        )
    loaded = load_pipeline(target, root=Path.cwd(), snapshot=snapshot)
    result = run_pipeline(
        workspace,
        loaded.pipeline,
        params,
        executor=ExecutorChoice(workers=workers, on=on),
        source=loaded.source,
        progress=LoggedProgress(),
    )
    return {"run_id": result.run_id, "outputs": describe_outputs(result)}


def describe_outputs(result: PipelineResult) -> dict[str, Any]:
    """Give the outputs of a run as JSON: where they are, and the values of small plain ones."""
    return {name: _described(output) for name, output in result.outputs.items()}


def _described(output: Output) -> dict[str, Any]:
    stored = output.stored
    described: dict[str, Any] = {
        "codec": stored.codec,
        "digest": stored.digest,
        "size_bytes": stored.size_bytes,
    }
    if stored.codec in ("json", "number") and stored.size_bytes <= _LARGEST_SHOWN_BYTES:
        value = output.value
        described["value"] = value.item() if stored.codec == "number" else value
    return described
