"""Whether what is otherwise about the columns of live rows was announced. Worker only."""

from __future__ import annotations

from datetime import timedelta

from noria.decisions.announcements import Announcement, Announcements, covers
from noria.decisions.case import Case
from noria.decisions.live_inputs import LiveInputs
from noria.decisions.replay.announcing import may_be_by_design
from noria.decisions.stages.events import STAGE
from noria.decisions.stages.finding import Finding

_AHEAD = timedelta(days=7)
"""How long before the onset a change may have been due: senders are late, and onsets estimates."""

_LATE = timedelta(hours=1)
"""How long after the onset: clocks differ, and people round."""


def announced(case: Case, inputs: LiveInputs) -> Finding | None:
    """Tell which announcement explains what columns do; None when there is none.

    A column whose values could not be meant, such as one that is missing or frozen, is explained by nothing; neither is
    a column that nobody named.
    """
    said = case.workspace.service(Announcements).list(case.endpoint.project, case.endpoint.name).items
    since = case.since
    if not said or not len(since):
        return None
    onset = min(since.times)
    due = [each for each in said if onset - _AHEAD <= each.at <= onset + _LATE]
    if not due:
        return None
    columns = inputs.columns(since)
    meant = [
        sign.column
        for sign in inputs.signs
        if sign.column in columns and may_be_by_design(sign, columns, inputs.reference)
    ]
    for column in meant:
        found = next((each for each in due if covers(each, column)), None)
        if found is not None:
            return _finding(found, column)
    return None


def _finding(found: Announcement, column: str) -> Finding:
    return Finding(
        stage=STAGE,
        verdict="announced",
        sentence=f"`{column}` was announced to change from {found.at:%Y-%m-%d %H:%M} UTC on: {found.text}",
        figures={
            "announcement": found.id,
            "at": found.at.isoformat(),
            "columns": found.columns,
            "changes": [f"{found.at.isoformat()} {found.text}"],
        },
        subject=f"column {column}",
    )
