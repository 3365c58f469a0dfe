"""Reports and approvals of versions: kept, found, counted and taken back; on each transport and database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.core.context import Context
from noria.core.errors import Invalid
from noria.core.workspace import Workspace
from noria.registry.rows import ModelVersionNotFound
from noria.registry.rules import files_of
from noria.registry.tables import model_validations
from noria.registry.validation.entities import Check, NewApproval, NewReport, Outcome
from noria.registry.validation.service import ReportNotFound, Validations
from noria.registry.versions import ModelVersions
from noria.server.upkeep import remove_deleted
from support.packages import register_files

PROJECT = "default"
FAILED = Check(
    name="extremes",
    family="values",
    outcome=Outcome.FAILED,
    value=0.25,
    limit=0.0,
    words="{n} of {total} rows had no valid answer",
    values={"n": 1, "total": 4},
    details=[("x[0]", "1e308")],
    seconds=0.5,
)
PASSED = Check(name="golden", family="same", outcome=Outcome.PASSED, value=0.0, limit=0.0)


def test_reports_and_approvals_are_kept_found_and_taken_back(
    workspace: Workspace, context: Context, tmp_path: Path
) -> None:
    """As they were given, newest first; of other files or versions none is taken, and none outlives its version."""
    service = workspace.service(Validations)
    version = register_files(workspace, tmp_path / "one")
    new = NewReport(
        digest=files_of(version),
        engine="native",
        made_up=False,
        n_rows=4,
        checks=[PASSED],
        made_with={"numpy": "2"},
    )
    good = service.record(PROJECT, "iris", 1, new)
    bad = service.record(
        PROJECT,
        "iris",
        1,
        NewReport(digest=new.digest, engine="native", made_up=True, n_rows=4, checks=[FAILED, PASSED]),
    )

    assert [each.id for each in service.list(PROJECT, "iris", 1).items] == [bad.id, good.id]
    assert service.list(PROJECT, "iris", 1, limit=1).items == [bad]
    assert service.get(PROJECT, "iris", 1, good.id) == good
    assert (good.outcome, bad.outcome, bad.checks) == (Outcome.PASSED, Outcome.FAILED, [FAILED, PASSED])
    assert good.made_with == {"numpy": "2"}
    with pytest.raises(ReportNotFound, match="has no report"):
        service.get(PROJECT, "iris", 1, "0" * 32)
    with pytest.raises(ModelVersionNotFound):
        service.record(PROJECT, "iris", 9, new)
    with pytest.raises(Invalid, match="not of those of `iris@1`"):
        service.record(
            PROJECT,
            "iris",
            1,
            NewReport(digest="blake3:" + "0" * 64, engine="native", made_up=False, n_rows=4, checks=[PASSED]),
        )

    first = service.approve(PROJECT, "iris", 1, NewApproval(alias="champion", note="seen"))
    again = service.approve(PROJECT, "iris", 1, NewApproval(alias="champion", note="seen twice"))
    assert (first.report_id, again.note, again.given_by) == (bad.id, "seen twice", first.given_by)
    assert service.gates(PROJECT, "iris", 1).items == []
    service.withdraw(PROJECT, "iris", 1, "champion")
    service.withdraw(PROJECT, "iris", 1, "champion")

    workspace.service(ModelVersions).delete(PROJECT, "iris", 1)
    remove_deleted(context, older_than=timedelta())
    with context.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(model_validations)).scalar_one() == 0
