"""What a failed check blocks: a run or a step that reads the version."""

from __future__ import annotations

from noria.core import lineage
from noria.core.workspace import Workspace
from noria.data.entities import DatasetVersion
from noria.data.quality.entities import CheckFailed, CheckMissing
from noria.data.quality.service import DatasetReports
from noria.data.quality.settings import DataSection, DatasetRules


def rules_of(workspace: Workspace, name: str) -> DatasetRules | None:
    """Give the rules that `noria.toml` has for a dataset; None for none."""
    return workspace.settings.section("data", DataSection).checks.get(name)


def refuse_failed(workspace: Workspace, version: DatasetVersion) -> None:
    """Refuse a version that failed its newest check, where something would be made of it.

    Without an active run or step nothing is made of what is read: a person may look at what is wrong.

    Raises
    ------
    CheckFailed
        If its newest check failed.
    CheckMissing
        If it was never checked, and its rules require that.
    """
    if lineage.recorder.get() is None:
        return
    found = workspace.service(DatasetReports).checks(version.project, version.name, version.version, limit=1)
    newest = next(iter(found.items), None)
    if newest is not None and not newest.passed:
        raise CheckFailed(version.ref, [result.words for result in newest.report.broken])
    rules = rules_of(workspace, version.name)
    if newest is None and rules is not None and rules.required:
        raise CheckMissing(version.ref)
