"""Write decision records from Python."""

from __future__ import annotations

from collections.abc import Mapping

from noria.catalog.entities import Candidate, DecisionRecord, Figure, NewRecord, RecordKind
from noria.catalog.service import Catalog
from noria.core.workspace import Workspace, current_workspace


def choose(
    model: str,
    *,
    candidates: Mapping[str, Mapping[str, float | Figure]],
    choice: str,
    reason: str,
    problem: str = "",
    workspace: Workspace | None = None,
) -> DecisionRecord:
    """Record which candidate was chosen for a model, from which others, and why.

    Parameters
    ----------
    model
        Name or reference of the registered model.
    candidates
        Figures of each candidate by name; a `Figure` carries an interval.
    choice
        Name of the chosen one.

    Raises
    ------
    Invalid
        If the choice is not among the candidates.
    """
    from noria.core.errors import Invalid, near

    if choice not in candidates:
        close = near(choice, candidates)
        raise Invalid(
            f"The choice `{choice}` is not among the candidates",
            hint=f"Did you mean `{close}`?"
            if close
            else "Candidates: " + ", ".join(f"`{c}`" for c in candidates),
        )
    ws = workspace or current_workspace()
    new = NewRecord(
        kind=RecordKind.SELECTION,
        subject=f"model:{model}",
        problem=problem or f"Which candidate becomes `{model}`?",
        candidates=[Candidate(name=name, figures=_figures(found)) for name, found in candidates.items()],
        choice=choice,
        reason=reason,
        closed=True,
    )
    return ws.service(Catalog).create(ws.project, new)


def record(record_id: str, *, workspace: Workspace | None = None) -> DecisionRecord:
    """Read a decision record."""
    ws = workspace or current_workspace()
    return ws.service(Catalog).get(ws.project, record_id)


def _figures(found: Mapping[str, float | Figure]) -> dict[str, Figure]:
    return {
        name: value if isinstance(value, Figure) else Figure(value=float(value))
        for name, value in found.items()
    }
