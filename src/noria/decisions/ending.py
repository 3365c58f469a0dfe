"""How a decision ends: its record is closed first, then it, then its alert. Each may be repeated."""

from __future__ import annotations

from typing import Any

from noria.catalog.entities import RecordOutcome
from noria.catalog.service import Catalog, RecordClosed
from noria.core.context import Context
from noria.core.errors import NotFound
from noria.decisions.entities import Decision, DecisionStatus
from noria.decisions.events import DECISION_FINISHED
from noria.decisions.ledger import move
from noria.monitoring.entities import CloseAlert
from noria.monitoring.service import Monitors


def close_record(context: Context, decision: Decision, outcome: dict[str, Any]) -> None:
    """Write how it fared, unless a killed run of this step did so already."""
    try:
        context.service(Catalog).close(decision.project, decision.record_id, RecordOutcome(outcome=outcome))
    except RecordClosed:
        return


def close_alerts(context: Context, decision: Decision, why: str) -> None:
    """Close the open alerts about the version decided on, so that the next trouble can raise one."""
    monitors = context.service(Monitors)
    found = monitors.alerts(decision.project, endpoint=decision.endpoint, open_only=True, limit=1000).items
    for alert in found:
        if alert.version <= decision.version or alert.id == decision.alert_id:
            monitors.close_alert(decision.project, alert.id, CloseAlert(why=why))


def finish(
    context: Context, decision: Decision, *, outcome: dict[str, Any], reason: str, failed: bool = False
) -> Decision:
    """End a decision."""
    close_record(context, decision, outcome)
    status = DecisionStatus.FAILED if failed else DecisionStatus.DONE
    payload = {
        "cause": decision.cause and decision.cause.value,
        "remedy": decision.remedy and decision.remedy.value,
        "version": decision.target_version,
        "reason": reason,
        "outcome": outcome,
    }
    return move(
        context,
        decision.project,
        decision.id,
        status,
        text=reason,
        event=DECISION_FINISHED,
        payload=payload,
        reason=reason,
    )


def alert_is_open(context: Context, project: str, alert_id: str) -> bool:
    """Tell whether an alert is still open; one that is gone is not."""
    try:
        return context.service(Monitors).alert(project, alert_id).closed_at is None
    except NotFound:
        return False
