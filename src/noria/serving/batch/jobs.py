"""What a worker does to predict a batch, and how it is asked to."""

from __future__ import annotations

from typing import Any

import msgspec

from noria.core.errors import Invalid
from noria.core.serialisation import to_json
from noria.core.workspace import InProcess, Workspace
from noria.pipelines.job_entities import MAX_TIMEOUT_S, Job, NewJob
from noria.pipelines.jobs import Jobs
from noria.serving.batch.client import predict
from noria.serving.batch.sinks.port import check_output, has_password


def submit_prediction(workspace: Workspace, asked: dict[str, Any]) -> Job:
    """Queue a job that predicts a batch.

    Parameters
    ----------
    asked
        Arguments of `noria.predict`.

    Raises
    ------
    Invalid
        If no server is there to give the job to a worker, or a password would be put on record.
    """
    if isinstance(workspace.backend, InProcess):
        raise Invalid(
            "No server runs on this workspace", hint="Start one with `noria up`, or leave `--submit` out"
        )
    if asked.get("output") is not None:
        check_output(asked["output"])
    for name in ("output", "input_url"):
        if has_password(asked.get(name) or ""):
            raise Invalid(
                "A password in an address would be put on record with the job",
                hint="Keep it in `~/.pgpass` on the worker's machine, and leave it out here",
            )
    args = {name: value for name, value in asked.items() if value is not None}
    entry = f"{__name__}:{predict_job.__name__}"
    return workspace.service(Jobs).submit(
        workspace.project, NewJob(entry=entry, args={"asked": args}, timeout_s=MAX_TIMEOUT_S)
    )


def predict_job(workspace: Workspace, asked: dict[str, Any]) -> dict[str, Any]:
    """Predict a batch; a job that is tried again goes on where it was.

    Returns
    -------
    dict
        The batch run.
    """

    def progress(n_done: int, n_rows: int) -> None:
        print(f"{n_done} of {n_rows} rows", flush=True)  # noqa: T201 - the job's log

    return plain(predict(**asked, workspace=workspace, progress=progress))


def plain(value: msgspec.Struct) -> dict[str, Any]:
    """Give an entity as what JSON has."""
    found: dict[str, Any] = msgspec.json.decode(to_json(value))
    return found
