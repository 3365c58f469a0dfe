"""Operations on validations: have one made, keep and read reports, approve, and ask gates."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from noria.core.errors import Invalid, NotFound
from noria.core.ids import new_id
from noria.core.operations import Service, operation
from noria.core.permissions import Role
from noria.pipelines.job_entities import Job, NewJob
from noria.pipelines.job_rows import load_job, token_name
from noria.pipelines.jobs import Jobs
from noria.registry.changes import Change
from noria.registry.entities import ModelVersion
from noria.registry.events import MODEL_APPROVAL_WITHDRAWN, MODEL_APPROVED, MODEL_VALIDATED
from noria.registry.permissions import APPROVE_MODELS, PROMOTE_MODELS, READ_MODELS, VALIDATE_MODELS
from noria.registry.rows import find_model, get_version
from noria.registry.rules import check_alias, servable
from noria.registry.validation.entities import (
    Approval,
    GateStates,
    NewApproval,
    NewReport,
    Report,
    ReportList,
    ValidationStart,
    to_args,
)
from noria.registry.validation.gates import gate_of, settings_of, state_of
from noria.registry.validation.judging import outcome_of
from noria.registry.validation.rows import insert_report, load_approvals, load_reports

JOB_ENTRY: Final = "noria.registry.validation.jobs:validate_job"
MAX_CHECKS: Final = 1_000
MAX_NOTE_CHARS: Final = 2_000

_SLACK_S = 600.0
_AT = "/projects/{project}/models/{name}/versions/{version}"


class ReportNotFound(NotFound):
    """The version has no report of this id."""

    code = "report_not_found"


class Validations(Service):
    """What versions did when they were tried, and who approved them."""

    @operation("POST", f"{_AT}/validations/start", needs=VALIDATE_MODELS, status=202)
    def start(self, project: str, name: str, version: int, asked: ValidationStart) -> Job:
        """Have a worker try a version, with the limits of this workspace."""
        if asked.suites and asked.snapshot is None:
            raise Invalid("Own suites need the snapshot of the project that they are in")
        settings = settings_of(self.context)
        with self.context.database.read() as connection:
            found = servable(get_version(connection, find_model(connection, project, name), version))
        new = NewJob(
            entry=JOB_ENTRY,
            args={
                "model": found.model,
                "version": version,
                "settings": to_args(settings),
                "suites": asked.suites,
                "snapshot": asked.snapshot,
            },
            timeout_s=settings.timeout_s + _SLACK_S,
            permissions=[VALIDATE_MODELS.name],
        )
        return self.sibling(Jobs).submit(project, new)

    @operation("POST", f"{_AT}/validations", needs=VALIDATE_MODELS)
    def record(self, project: str, name: str, version: int, new: NewReport) -> Report:
        """Keep what a validation found.

        Gates take it when a worker made it, or somebody who may move aliases.
        """
        if len(new.checks) > MAX_CHECKS:
            raise Invalid(f"{len(new.checks)} checks are more than the {MAX_CHECKS} that a report may have")
        with self.context.database.write(durable=True) as connection:
            change = Change(self.context, connection, project)
            found = get_version(connection, find_model(connection, project, name, lock=True), version)
            if new.digest != found.digest:
                raise Invalid(f"The report is of the files `{new.digest}`, not of those of `{found.ref}`")
            report_id, counts = new_id(), self._counts(connection, found)
            insert_report(
                connection,
                found,
                new,
                report_id=report_id,
                outcome=outcome_of(new.checks),
                counts=counts,
                author=self.context.principal.name,
                at=change.now,
            )
            payload = {
                "version": version,
                "report": report_id,
                "outcome": outcome_of(new.checks).value,
                "counts": counts,
            }
            change.tell(MODEL_VALIDATED, found.ref, payload)
            return load_reports(connection, found, limit=1, report_id=report_id)[0]

    @operation("GET", f"{_AT}/validations", needs=READ_MODELS)
    def list(self, project: str, name: str, version: int, limit: int = 20) -> ReportList:
        """List the reports of a version, newest first."""
        with self.context.database.read() as connection:
            found = get_version(connection, find_model(connection, project, name), version)
            return ReportList(items=load_reports(connection, found, limit=max(1, min(limit, 100))))

    @operation("GET", f"{_AT}/validations/{{report_id}}", needs=READ_MODELS)
    def get(self, project: str, name: str, version: int, report_id: str) -> Report:
        """Get a report."""
        with self.context.database.read() as connection:
            found = get_version(connection, find_model(connection, project, name), version)
            reports = load_reports(connection, found, limit=1, report_id=report_id)
        if not reports:
            raise ReportNotFound(
                f"`{found.ref}` has no report `{report_id[:60]}`",
                hint=f"Have one made: `noria models validate {found.ref}`",
            )
        return reports[0]

    @operation("GET", f"{_AT}/gates", needs=READ_MODELS)
    def gates(self, project: str, name: str, version: int) -> GateStates:
        """Tell which aliases have a gate, and what the version lacks at each."""
        with self.context.database.read() as connection:
            found = get_version(connection, find_model(connection, project, name), version)
            items = [
                state_of(self.context, connection, found, alias, gate)
                for alias in settings_of(self.context).gates
                if (gate := gate_of(self.context, project, found.model, alias)) is not None
            ]
        return GateStates(items=items)

    @operation("POST", f"{_AT}/approvals", needs=APPROVE_MODELS)
    def approve(self, project: str, name: str, version: int, new: NewApproval) -> Approval:
        """Approve a version for an alias, with the role that the caller holds."""
        check_alias(new.alias)
        if len(new.note) > MAX_NOTE_CHARS:
            raise Invalid(f"The note is longer than {MAX_NOTE_CHARS} characters")
        caller = self.context.principal
        with self.context.database.write(durable=True) as connection:
            change = Change(self.context, connection, project)
            model = find_model(connection, project, name, lock=True)
            found = get_version(connection, model, version)
            newest = load_reports(connection, found, limit=1)
            role = caller.role_in(project) or Role.VIEWER
            change.insert_approval(
                found,
                alias=new.alias,
                given_by=caller.name,
                role=role.value,
                note=new.note,
                report_id=newest[0].id if newest else None,
            )
            payload = {"version": version, "alias": new.alias, "role": role.value}
            change.tell(MODEL_APPROVED, found.ref, payload)
            given = load_approvals(connection, found, new.alias)
        return next(each for each in given if each.given_by == caller.name)

    @operation("DELETE", f"{_AT}/approvals/{{alias}}", needs=APPROVE_MODELS)
    def withdraw(self, project: str, name: str, version: int, alias: str) -> None:
        """Take the caller's own approval back."""
        with self.context.database.write(durable=True) as connection:
            change = Change(self.context, connection, project)
            model = find_model(connection, project, name, lock=True)
            found = get_version(connection, model, version)
            if change.drop_approval(found, alias=alias, given_by=self.context.principal.name):
                payload = {"version": version, "alias": alias}
                change.tell(MODEL_APPROVAL_WITHDRAWN, found.ref, payload)

    def _counts(self, connection: sa.Connection, version: ModelVersion) -> bool:
        """Tell whether gates take the report: its job runs our own code, or its author may move aliases anyway."""
        caller = self.context.principal
        job_id = caller.name.removeprefix(token_name(""))
        if job_id == caller.name:
            return caller.may(PROMOTE_MODELS, version.project)
        job = load_job(connection, version.project, job_id)
        return job.entry == JOB_ENTRY and job.snapshot is None
