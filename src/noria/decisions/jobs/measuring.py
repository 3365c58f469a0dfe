"""The jobs that measure what came of a remedy."""

from __future__ import annotations

from typing import Any

from noria.core.workspace import Workspace
from noria.decisions.jobs.reading import read_case, settings_of
from noria.decisions.trials import score_figure


def measure_outcome(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    target_version: int,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Compare what clients got since the onset from the old version with what they get from the new one."""
    chosen = settings_of(settings)
    figures: dict[str, Any] = {"result": "promoted", "version": target_version}
    for name, number in (("before", version), ("after", target_version)):
        case = read_case(workspace, project, endpoint, number, onset_position, None, chosen)
        labelled = case.rows.labelled.since(onset_position)
        figures[f"n_{name}"] = len(labelled)
        if len(labelled):
            figure = score_figure(case.scores(labelled), alpha=1 - chosen.confidence)
            figures[f"score_{name}"] = figure.value
            figures[f"score_{name}_low"], figures[f"score_{name}_high"] = figure.low, figure.high
    return figures


def measure_repair(
    workspace: Workspace,
    project: str,
    endpoint: str,
    version: int,
    onset_position: int,
    settings: dict[str, Any],
    repaired_position: int,
    result: str = "repaired",
) -> dict[str, Any]:
    """Compare what clients got since the onset with what they get since inputs are put right, or made right again.

    Returns
    -------
    dict
        `result`, and scores before and after with their intervals; `worse` tells whether it surely does harm.
    """
    chosen = settings_of(settings)
    case = read_case(workspace, project, endpoint, version, onset_position, None, chosen)
    labelled = case.rows.labelled.since(onset_position)
    parts = {"before": labelled.before(repaired_position + 1), "after": labelled.since(repaired_position + 1)}
    figures: dict[str, Any] = {"result": result}
    for name, rows in parts.items():
        figures[f"n_{name}"] = len(rows)
        if len(rows):
            figure = score_figure(case.scores(rows), alpha=1 - chosen.confidence)
            figures[f"score_{name}"] = figure.value
            figures[f"score_{name}_low"], figures[f"score_{name}_high"] = figure.low, figure.high
    before, after = figures.get("score_before_low"), figures.get("score_after_high")
    return {**figures, "worse": before is not None and after is not None and after < before}
