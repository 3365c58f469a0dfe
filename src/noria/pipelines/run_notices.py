"""What people are told of `noria run`: that a pipeline fails, and that it succeeds again, by mail and by webhook.

A notice is sent by the command itself, which tries twice; what becomes of it changes nothing of the run. A schedule
has notices of its own, which its server sends (`noria.pipelines.schedules.notices`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from noria.core.config import Section
from noria.pipelines.schedules.entities import Told

if TYPE_CHECKING:
    from noria.core.config import Settings
    from noria.core.errors import NoriaError
    from noria.core.workspace import Workspace
    from noria.pipelines.entities import PipelineRun

_LOOKED_BACK: Final = 50
_PAUSE_S: Final = 2.0
_LAST_LINES: Final = 30
_VARIABLE: Final = "NORIA_NOTIFY_SECRET"


class NotifySection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[notify]`: who is told of pipelines that `noria run` runs.

    Attributes
    ----------
    to
        `mailto:` and `https://` addresses.
    on
        What they are told of: `failure` (the first of several), `recovery`, `success`.
    """

    to: tuple[str, ...] = ()
    on: tuple[Told, ...] = (Told.FAILURE, Told.RECOVERY)


@contextmanager
def noticing(workspace: Workspace, pipeline: str, *, resumed: str | None = None) -> Iterator[None]:
    """Tell of the run that the block makes of a pipeline, as `[notify]` says.

    Parameters
    ----------
    pipeline
        As runs are listed under: `flow:train`.
    resumed
        Id of the run that goes on in the block, if one does.

    Raises
    ------
    Invalid, ConfigInvalid
        If an address is none, or `NORIA_NOTIFY_SECRET` no secret, before the block.
    """
    section = workspace.settings.section("notify", NotifySection)
    if not section.to:
        yield
        return
    from noria.pipelines.receivers import check_notice_address

    for address in section.to:
        check_notice_address(address)
    signing_secret(workspace.settings)
    before = _ended(workspace, pipeline, limit=_LOOKED_BACK)
    try:
        yield
    except Exception as error:
        _tell(workspace, section, pipeline, before, resumed, error)
        raise
    _tell(workspace, section, pipeline, before, resumed, None)


def signing_secret(settings: Settings) -> str | None:
    """Give what calls are signed with, which is one for all projects and addresses.

    It is that of `NORIA_NOTIFY_SECRET`, or is made of the workspace key. A server keeps its key to itself, so where
    the workspace is one there is none but that of the variable.

    Raises
    ------
    ConfigInvalid
        If the variable holds no secret.
    """
    from noria.pipelines.schedules.signing import check_secret, notice_secret

    if settings.notify_secret is not None:
        return check_secret(settings.notify_secret, where=_VARIABLE)
    return None if settings.is_remote else notice_secret(settings.folder, "runs")


def _ended(workspace: Workspace, pipeline: str, *, limit: int) -> list[PipelineRun]:
    """List runs that came to an end by themselves, newest first."""
    from noria.pipelines.service import PipelineRuns
    from noria.tracking.entities import RunStatus

    runs = workspace.service(PipelineRuns).list(workspace.project, pipeline=pipeline, limit=limit).items
    return [run for run in runs if run.status in (RunStatus.FINISHED, RunStatus.FAILED)]


def _tell(
    workspace: Workspace,
    section: NotifySection,
    pipeline: str,
    before: Sequence[PipelineRun],
    resumed: str | None,
    error: Exception | None,
) -> None:
    from noria.tracking.redaction import Redactor

    known = {run.run_id for run in before} - {resumed}
    after = _ended(workspace, pipeline, limit=_LOOKED_BACK)
    run = next((one for one in after if one.run_id == resumed or one.run_id not in known), None)
    if run is None:
        return  # refused before it was recorded: who typed the command has been told
    failures = _failures(before)
    kind = _kind(section, failures, error)
    if kind is None or kind not in section.on:
        return
    hide = Redactor(os.environ).text
    subject, text = map(hide, _text(workspace, pipeline, run, kind, failures, error))
    facts = {
        "project": workspace.project,
        "pipeline": pipeline,
        "kind": str(kind),
        "run": run.run_id,
        "failing_since": _since(failures, run) if error or failures else None,
        "n_failures": len(failures) + (error is not None),
        "text": text,
    }
    for address in dict.fromkeys(section.to):
        _send(workspace, address, subject, facts)


def _failures(before: Sequence[PipelineRun]) -> list[PipelineRun]:
    """Give the failed runs since the last one that succeeded, newest first."""
    from noria.tracking.entities import RunStatus

    found = []
    for run in before:
        if run.status is RunStatus.FINISHED:
            break
        found.append(run)
    return found


def _kind(section: NotifySection, failures: Sequence[PipelineRun], error: Exception | None) -> Told | None:
    if error is not None:
        # Of a pipeline that goes on failing people know already.
        return None if failures else Told.FAILURE
    return Told.RECOVERY if failures and Told.RECOVERY in section.on else Told.SUCCESS


def _since(failures: Sequence[PipelineRun], run: PipelineRun) -> datetime | None:
    first = failures[-1] if failures else run
    return first.ended_at or first.started_at


def _text(
    workspace: Workspace,
    pipeline: str,
    run: PipelineRun,
    kind: Told,
    failures: Sequence[PipelineRun],
    error: Exception | None,
) -> tuple[str, str]:
    from noria.pipelines.schedules.notices import lasting

    where, name = f"{workspace.project}/{pipeline}", f"The pipeline `{pipeline}` of `{workspace.project}`"
    since = _since(failures, run)
    if error is not None:
        subject, first = f"[noria] {where} failed: {error}", f"{name} failed."
    elif kind is Told.RECOVERY and since is not None:
        long = lasting((run.ended_at or workspace.clock.now()) - since)
        n_runs = f"{len(failures)} run{'s' if len(failures) != 1 else ''}"
        subject = f"[noria] {where} succeeds again, after failing for {long}"
        first = f"{name} succeeds again. It failed for {long}: {n_runs}."
    else:
        subject, first = f"[noria] {where} succeeded", f"{name} succeeded."
    pairs: list[tuple[str, Any]] = [
        ("run", run.run_id),
        ("error", error),
        ("hint", getattr(error, "hint", None)),
        ("began", f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("ended", f"{run.ended_at:%Y-%m-%d %H:%M:%S} UTC" if run.ended_at else None),
    ]
    lines = [first, "", *(f"{label:<12}{value}" for label, value in pairs if value)]
    traceback = str((getattr(error, "details", None) or {}).get("traceback", "")).strip()
    if traceback:
        lines += ["", "Where it failed:", *(f"  {line}" for line in traceback.splitlines()[-_LAST_LINES:])]
    place = f"--project {workspace.project} --workspace {workspace.settings.workspace}"
    lines += ["", "More:", f"  noria runs show {run.run_id} {place}"]
    return subject, "\n".join(lines) + "\n"


def _send(workspace: Workspace, address: str, subject: str, facts: dict[str, Any]) -> None:
    """Send a notice; one that cannot be sent is told to whoever sees the command."""
    from noria.core.console.output import say
    from noria.core.errors import NoriaError
    from noria.core.ids import new_id

    id_ = new_id()
    problem: NoriaError | None = None
    for attempt in range(2):
        if attempt:
            workspace.clock.sleep(_PAUSE_S)
        try:
            _send_once(workspace, address, subject, facts, id_)
        except NoriaError as error:
            problem = error
            if not error.retryable:
                break
        else:
            return
    if problem is not None:
        say(f"The notice to `{address}` was not sent: {problem.message}")


def _send_once(workspace: Workspace, address: str, subject: str, facts: dict[str, Any], id_: str) -> None:
    import msgspec

    from noria.core.outbound.mail import Mail
    from noria.pipelines.receivers import MAILTO, post, send_mail
    from noria.pipelines.schedules.signing import ID_HEADER, signed_headers

    if address.startswith(MAILTO):
        mail = Mail(to=address.removeprefix(MAILTO), subject=subject, text=facts["text"], id=id_)
        send_mail(workspace.settings, workspace.clock, mail)
        return
    now = workspace.clock.now()
    body = msgspec.json.encode({"type": f"pipeline.{facts['kind']}", "timestamp": now, "data": facts})
    secret = signing_secret(workspace.settings)
    if secret is None:
        headers = {"content-type": "application/json", ID_HEADER: id_}
    else:
        headers = signed_headers(secret, id_=id_, now=now, body=body)
    post(workspace.settings, workspace.clock, address, headers=headers, body=body)
