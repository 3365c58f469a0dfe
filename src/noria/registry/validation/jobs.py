"""What a worker does to try a version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noria.core.errors import Invalid
from noria.core.serialisation import convert
from noria.core.workspace import Workspace
from noria.pipelines.snapshots import open_snapshot
from noria.registry.client import fetch_version
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.registry.validation.entities import Check, ValidationSection
from noria.registry.validation.run import SuiteText, Told, validate
from noria.registry.validation.service import Validations

_CODE = "code"


def validate_job(
    workspace: Workspace,
    model: str,
    version: int,
    settings: dict[str, Any],
    suites: list[str],
    snapshot: str | None,
) -> dict[str, Any]:
    """Try a version, and keep the report.

    Own suites run beside the model in a process without the credentials of this one.

    Returns
    -------
    dict
        Id and outcome of the report.
    """
    root = None if snapshot is None else open_snapshot(workspace, snapshot, Path.cwd() / _CODE)
    texts = [] if root is None else [read_suite(root, path) for path in suites]
    chosen = convert(settings, ValidationSection, what="settings of a validation")
    return make_report(workspace, model, version, chosen, texts, told=_log)


def make_report(
    workspace: Workspace,
    model: str,
    version: int,
    settings: ValidationSection,
    suites: list[SuiteText],
    *,
    told: Told,
) -> dict[str, Any]:
    """Try a version here, keep the report, and give its id and outcome."""
    found = servable(workspace.service(Models).version(workspace.project, model, version))
    made = validate(fetch_version(workspace, found), found, settings, suites, told=told)
    kept = workspace.service(Validations).record(workspace.project, model, version, made)
    return {"report": kept.id, "outcome": kept.outcome.value}


def read_suite(root: Path, path: str) -> SuiteText:
    """Read an own suite below a folder.

    Raises
    ------
    Invalid
        If there is no such file below it.
    """
    file = (root / path).resolve()
    if not file.is_relative_to(root.resolve()) or not file.is_file():
        raise Invalid(
            f"There is no suite `{path}` below the root of the project",
            hint="Name a Python file of the project, as `suites/fairness.py`",
        )
    return SuiteText(name=path, source=file.read_text(encoding="utf-8"), folder=str(root.resolve()))


def _log(check: Check) -> None:
    print(f"{check.outcome.value:14} {check.name}: {check.sentence}", flush=True)  # noqa: T201 - the job's log
