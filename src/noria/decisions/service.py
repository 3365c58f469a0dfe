"""Operations on decisions."""

from __future__ import annotations

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import Conflict, NotFound
from noria.core.operations import Service, operation
from noria.decisions.ending import close_alerts, close_record
from noria.decisions.entities import (
    Answer,
    Decision,
    DecisionPage,
    DecisionSection,
    DecisionStatus,
    Outlook,
    Policy,
    StartDecision,
    Trigger,
)
from noria.decisions.events import (
    DECISION_APPROVED,
    DECISION_FINISHED,
    DECISION_REJECTED,
    DECISION_REQUESTED,
)
from noria.decisions.ledger import (
    DecisionMoved,
    NewDecision,
    acted_alone,
    find_decision,
    find_open,
    move,
    open_decision,
    tell,
)
from noria.decisions.permissions import DECIDE, READ_DECISIONS
from noria.decisions.tables import decisions
from noria.monitoring.service import Monitors
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints

_ROWS_LOOKED_BACK = 500


class NothingToApprove(Conflict):
    """The decision proposes nothing that Noria can carry out."""

    code = "nothing_to_approve"

    def __init__(self, found: Decision) -> None:
        remedy = found.remedy.value if found.remedy else Policy.ASK.value
        super().__init__(
            f"The decision `{found.id}` proposes `{remedy}`, which a person has to carry out",
            hint=f"When it is done, close the decision: `noria decisions reject {found.id} --reason …`",
        )


class Decisions(Service):
    """Incidents: what was wrong, what was tried, what was done."""

    @operation("GET", "/projects/{project}/decisions", needs=READ_DECISIONS)
    def list(
        self, project: str, endpoint: str = "", status: str = "", limit: int = 50, before: str | None = None
    ) -> DecisionPage:
        """List decisions, newest first, from the one that precedes the id `before`."""
        bound = max(1, min(limit, 1000))
        with self.context.database.read() as connection:
            query = (
                sa.select(decisions.c.body)
                .where(decisions.c.project_pk == project_pk(connection, project))
                .order_by(decisions.c.id.desc())
                .limit(bound + 1)
            )
            if endpoint:
                query = query.where(decisions.c.endpoint == endpoint)
            if status:
                query = query.where(decisions.c.status == status)
            if before is not None:
                query = query.where(decisions.c.id < before)
            found = connection.execute(query).scalars().all()
        items = [*found[:bound]]
        return DecisionPage(items=items, next=items[-1].id if len(found) > bound else None)

    @operation("GET", "/projects/{project}/decisions/{decision_id}", needs=READ_DECISIONS)
    def get(self, project: str, decision_id: str) -> Decision:
        """Get one decision."""
        with self.context.database.read() as connection:
            return find_decision(connection, project, decision_id)

    @operation("POST", "/projects/{project}/decisions", needs=DECIDE)
    def start(self, project: str, wish: StartDecision) -> Decision:
        """Open a decision about an endpoint by hand; the running server's control loop carries it out.

        Raises
        ------
        DecisionUnderWay
            If one about the endpoint is open.
        """
        endpoint = self.sibling(Endpoints).get(project, wish.endpoint)
        onset = wish.onset_position
        new = NewDecision(
            project=project,
            endpoint=endpoint.name,
            model=endpoint.model,
            version=endpoint.version,
            trigger=Trigger.MANUAL,
            alert_id=None,
            onset_position=self._onset(project, endpoint.name) if onset is None else onset,
            sentence=wish.reason or f"{self.context.principal.name} asked for a look at `{endpoint.name}`",
        )
        made = open_decision(self.context, new)
        with self.context.database.write(durable=True) as connection:
            tell(connection, self.context, DECISION_REQUESTED, made, new.sentence, {})
        return made

    @operation("GET", "/projects/{project}/endpoints/{endpoint}/decision-outlook", needs=READ_DECISIONS)
    def outlook(self, project: str, endpoint: str, *, onset_position: int | None = None) -> Outlook:
        """Tell what a decision about an endpoint would look at, and open none."""
        place = self.sibling(Endpoints).get(project, endpoint)
        with self.context.database.read() as connection:
            standing = find_open(connection, project, place.name)
            alone = acted_alone(connection, project, place.name, now=self.context.clock.now())
        return Outlook(
            endpoint=place.name,
            model=place.model,
            version=place.version,
            onset_position=self._onset(project, place.name) if onset_position is None else onset_position,
            until_label=self.sibling(Captures).head(project, place.name).label_position,
            settings=self.context.settings.section("decisions", DecisionSection),
            open_decision=standing.id if standing is not None else None,
            acted_alone=alone,
        )

    @operation("POST", "/projects/{project}/decisions/{decision_id}/approve", needs=DECIDE, status=200)
    def approve(self, project: str, decision_id: str, answer: Answer) -> Decision:
        """Let a proposed remedy be carried out.

        Raises
        ------
        NothingToApprove
            If a person has to carry it out.
        DecisionMoved
            If it does not ask.
        """
        found = self.get(project, decision_id)
        if found.status is not DecisionStatus.ASKING:
            raise DecisionMoved(found, DecisionStatus.ACTING)
        if not found.can_be_carried_out:
            raise NothingToApprove(found)
        who = self.context.principal.name
        text = f"{who} approved {found.remedy}" + (f": {answer.reason}" if answer.reason else "")
        return move(
            self.context, project, decision_id, DecisionStatus.ACTING, text=text, event=DECISION_APPROVED
        )

    @operation("POST", "/projects/{project}/decisions/{decision_id}/reject", needs=DECIDE, status=200)
    def reject(self, project: str, decision_id: str, answer: Answer) -> Decision:
        """End a decision that waits or asks, without its remedy, and close the alerts that it is about."""
        found = self.get(project, decision_id)
        if found.status not in (DecisionStatus.ASKING, DecisionStatus.WAITING):
            raise DecisionMoved(found, DecisionStatus.DONE)
        by = self.context.principal.name + (f": {answer.reason}" if answer.reason else "")
        reason = f"Rejected by {by}"
        close_record(self.context, found, {"result": "rejected", "reason": reason})
        ended = move(
            self.context,
            project,
            decision_id,
            DecisionStatus.DONE,
            text=reason,
            event=DECISION_REJECTED,
            reason=reason,
        )
        with self.context.database.write(durable=True) as connection:
            tell(connection, self.context, DECISION_FINISHED, ended, reason, {"outcome": "rejected"})
        # What goes on is raised anew, by fresh labels, and is not asked about again on the same evidence.
        close_alerts(self.context, ended, f"Decision {ended.id}: left as it is by {by}")
        return ended

    def _onset(self, project: str, endpoint: str) -> int:
        """Take the oldest row of the monitor's recent labels for the onset, else a stretch of the newest rows."""
        try:
            quality = self.sibling(Monitors).get(project, endpoint).quality
        except NotFound:
            quality = None
        if quality is not None and quality.recent:
            return min(row.position for row in quality.recent)
        head = self.sibling(Captures).head(project, endpoint)
        return max(0, head.position - _ROWS_LOOKED_BACK)
