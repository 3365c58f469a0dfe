"""What each job of a decision reads first."""

from __future__ import annotations

from typing import Any

from noria.core.serialisation import convert
from noria.core.workspace import Workspace
from noria.decisions.case import Case, load_case
from noria.decisions.entities import DecisionSection
from noria.decisions.pipeline_entities import Compared
from noria.registry.entities import ModelVersion
from noria.registry.service import Models


def read_case(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    until_label: int | None,
    settings: DecisionSection,
) -> Case:
    """Read the endpoint in trouble, as many rows of it as the settings say."""
    return load_case(
        workspace,
        project,
        endpoint,
        version,
        onset_position=onset_position,
        max_rows=settings.max_rows,
        until_label=until_label,
    )


def compared_of(given: dict[str, Any] | None) -> Compared | None:
    """Give both revisions of a pipeline, where they were run."""
    return None if given is None else convert(given, Compared, what="both revisions")


def settings_of(given: dict[str, Any]) -> DecisionSection:
    """Give `[decisions]` as the control loop sent it."""
    return convert(given, DecisionSection, what="decision settings")


def registered_by(workspace: Workspace, project: str, model: str, run_id: str) -> ModelVersion | None:
    """Find the version that a run registered; None when it registered none."""
    page = workspace.service(Models).versions(project, model, limit=100)
    return next((version for version in page.items if version.origin.run_id == run_id), None)
