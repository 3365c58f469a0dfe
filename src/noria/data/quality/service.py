"""Operations on what was found out about versions: checks, comparisons and late profiles."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import Invalid, TooLarge
from noria.core.events.log import append
from noria.core.ids import new_id
from noria.core.operations import Service, operation
from noria.core.serialisation import to_builtins, to_json
from noria.data.diffing.entities import TableDiff
from noria.data.entities import DatasetVersion
from noria.data.events import DATASET_CHECKED
from noria.data.permissions import READ_DATA, WRITE_DATA
from noria.data.profiling.entities import FORMAT, read_profile
from noria.data.quality.entities import (
    CheckReport,
    NewCheck,
    NewDiff,
    NewProfile,
    RecordedCheck,
    RecordedChecks,
    RecordedDiff,
    RecordedDiffs,
)
from noria.data.report_tables import dataset_reports
from noria.data.service import Datasets
from noria.data.tables import dataset_versions, datasets

MAX_REPORT_BYTES: Final = 4 << 20

_CHECK, _DIFF = "check", "diff"


class DatasetReports(Service):
    """What was found out about versions of datasets."""

    @operation("POST", "/projects/{project}/datasets/{name}/versions/{version}/checks", needs=WRITE_DATA)
    def record_check(self, project: str, name: str, version: int, new: NewCheck) -> RecordedCheck:
        """Keep the result of a check; the newest one decides whether runs and steps may read the version."""
        checked, report = self._version(project, name, version), new.report
        if (report.ref, report.digest) != (checked.ref, checked.digest):
            raise Invalid(
                f"The report is of `{report.ref}`, not of `{checked.ref}` as it is",
                hint=f"noria data check {checked.ref}",
            )
        row = self._row(_CHECK, to_builtins(report), passed=report.passed)
        with self.context.database.write(durable=True) as connection:
            self._insert(connection, project, name, version, row)
            append(
                connection,
                self.context.clock,
                actor=self.context.principal.name,
                type=DATASET_CHECKED,
                subject=f"dataset:{checked.ref}",
                project=project,
                payload={"passed": report.passed, "broken": [each.words for each in report.broken[:20]]},
            )
        return _check(checked.ref, row)

    @operation("GET", "/projects/{project}/datasets/{name}/versions/{version}/checks", needs=READ_DATA)
    def checks(self, project: str, name: str, version: int, limit: int = 20) -> RecordedChecks:
        """List the checks of a version, newest first."""
        rows = self._newest(project, name, version, _CHECK, limit)
        return RecordedChecks(items=[_check(f"{name}@{version}", row) for row in rows])

    @operation("POST", "/projects/{project}/datasets/{name}/versions/{version}/diffs", needs=WRITE_DATA)
    def record_diff(self, project: str, name: str, version: int, new: NewDiff) -> RecordedDiff:
        """Keep a comparison of a version with another one, for the page that shows both."""
        compared, diff = self._version(project, name, version), new.diff
        if diff.after != compared.ref:
            raise Invalid(f"The comparison leads to `{diff.after}`, not to `{compared.ref}`")
        row = self._row(_DIFF, to_builtins(diff), against=diff.before)
        with self.context.database.write() as connection:
            self._insert(connection, project, name, version, row)
        return _diff(compared.ref, row)

    @operation("GET", "/projects/{project}/datasets/{name}/versions/{version}/diffs", needs=READ_DATA)
    def diffs(
        self, project: str, name: str, version: int, against: str | None = None, limit: int = 20
    ) -> RecordedDiffs:
        """List the comparisons of a version, newest first; with `against`, those with one other version."""
        rows = self._newest(project, name, version, _DIFF, limit, against)
        return RecordedDiffs(items=[_diff(f"{name}@{version}", row) for row in rows])

    @operation("POST", "/projects/{project}/datasets/{name}/versions/{version}/profile", needs=WRITE_DATA)
    def record_profile(self, project: str, name: str, version: int, new: NewProfile) -> DatasetVersion:
        """Give a profile to a version that was added without one, or with one of an older form."""
        profiled = self._version(project, name, version)
        if read_profile(new.profile) is None:
            raise Invalid("The profile is not in the form that `noria data profile` makes")
        _refuse_large(new.profile)
        known = read_profile(profiled.profile)
        # A profile with a target says more than the same one without.
        if known is not None and known.format >= FORMAT and known.target == new.profile.get("target"):
            return profiled
        with self.context.database.write() as connection:
            connection.execute(
                sa.update(dataset_versions)
                .where(dataset_versions.c.id == profiled.id)
                .values(profile=new.profile)
            )
        return msgspec.structs.replace(profiled, profile=new.profile)

    def _version(self, project: str, name: str, version: int) -> DatasetVersion:
        return Datasets(self.context).version(project, name, version)

    def _row(
        self, kind: str, report: Any, *, passed: bool | None = None, against: str | None = None
    ) -> dict[str, Any]:
        _refuse_large(report)
        return {
            "id": new_id(),
            "kind": kind,
            "against": against,
            "passed": passed,
            "author": self.context.principal.name,
            "created_at": self.context.clock.now(),
            "report": report,
        }

    def _insert(
        self, connection: sa.Connection, project: str, name: str, version: int, row: dict[str, Any]
    ) -> None:
        key = connection.execute(_version_pk(connection, project, name, version)).scalar_one()
        connection.execute(sa.insert(dataset_reports).values(version_pk=key, **row))

    def _newest(
        self, project: str, name: str, version: int, kind: str, limit: int, against: str | None = None
    ) -> list[Any]:
        reports = dataset_reports
        with self.context.database.read() as connection:
            key = connection.execute(_version_pk(connection, project, name, version)).scalar_one_or_none()
            query = (
                sa.select(*(reports.c[column] for column in _COLUMNS))
                .where(reports.c.version_pk == key, reports.c.kind == kind)
                .order_by(reports.c.pk.desc())
                .limit(max(1, min(limit, 100)))
            )
            if against is not None:
                query = query.where(reports.c.against == against)
            rows = [] if key is None else list(connection.execute(query).mappings())
        if key is None:
            self._version(project, name, version)  # tells what is missing
        return rows


_COLUMNS = ("id", "kind", "against", "passed", "author", "created_at", "report")


def _version_pk(connection: sa.Connection, project: str, name: str, version: int) -> sa.Select[Any]:
    return (
        sa.select(dataset_versions.c.pk)
        .join(datasets, datasets.c.pk == dataset_versions.c.dataset_pk)
        .where(datasets.c.project_pk == project_pk(connection, project))
        .where(datasets.c.name == name)
        .where(dataset_versions.c.version == version)
    )


def _check(ref: str, row: Any) -> RecordedCheck:
    return RecordedCheck(
        id=row["id"],
        ref=ref,
        passed=row["passed"],
        author=row["author"],
        created_at=row["created_at"],
        report=msgspec.convert(row["report"], CheckReport),
    )


def _diff(ref: str, row: Any) -> RecordedDiff:
    return RecordedDiff(
        id=row["id"],
        ref=ref,
        against=row["against"],
        author=row["author"],
        created_at=row["created_at"],
        diff=msgspec.convert(row["report"], TableDiff),
    )


def _refuse_large(value: Any) -> None:
    size_bytes = len(to_json(value))
    if size_bytes > MAX_REPORT_BYTES:
        raise TooLarge(f"What is to be kept has {size_bytes} bytes; {MAX_REPORT_BYTES} are the most")
