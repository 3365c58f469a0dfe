"""From the alert to the choice: diagnose, wait for labels, try, choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noria.catalog.entities import Candidate, DecisionRecord, Evidence, RecordChange, RecordKind
from noria.catalog.service import Catalog
from noria.core.serialisation import convert, to_builtins
from noria.decisions.choice import Choice, choose, plain, within_allowance
from noria.decisions.ending import close_alerts, finish
from noria.decisions.entities import (
    Basis,
    Cause,
    DecisionStatus,
    Policy,
    Remedy,
    admissible,
)
from noria.decisions.events import (
    DECISION_ASKED,
    DECISION_CHOSEN,
    DECISION_DIAGNOSED,
    DECISION_TRIED,
    DECISION_TRYING,
    DECISION_WAITING,
)
from noria.decisions.ledger import acted_alone, move, note
from noria.decisions.means import Means, means_of
from noria.decisions.memory import NOT_ASKED, believed, credibilities, rejection_of
from noria.decisions.pipeline_entities import PipelineChange
from noria.decisions.rerunning import rerun
from noria.decisions.steering import Helm
from noria.decisions.trying import Trying
from noria.decisions.upstream import change_upstream
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints

_NEED_LABELS = frozenset({Remedy.ROLL_BACK_MODEL, Remedy.RECALIBRATE, Remedy.RETRAIN, Remedy.NEW_MODEL})
_TRIED = _NEED_LABELS | {Remedy.REPAIR_INPUTS, Remedy.FIX_PIPELINE}
_LABELS_POLL_S = 10.0
_REMEMBERED = 200


class Course:
    """One decision up to its choice."""

    def __init__(self, helm: Helm) -> None:
        self._helm = helm
        self._settings = helm.settings
        self._remedies = Trying(helm, self._settings)

    def run(self, first: int = 1) -> bool:
        """Give True when a remedy is to be carried out now; False when the decision ended or asks.

        Parameters
        ----------
        first
            The round to begin with.
        """
        reason = "The causes stayed unclear"
        for number in range(first, self._settings.max_rounds + 1):
            look: Any = self._helm.step("look", self._look)
            if look["gone"]:
                return self._stop(look["gone"], "overtaken")
            # What begins again on newer labels is another job; the same labels are not looked at twice.
            key = f"diagnose:{number}:{look['arguments']['until_label']}"
            compared = self._compared()
            diagnosis = self._helm.job("diagnose", {**look["arguments"], "compared": compared}, key=key)
            self._note_diagnosis(diagnosis, number)
            more, reason, since = self._go_on(number, look, diagnosis, compared)
            if more == 0:
                return self._helm.step("standing", lambda: self._helm.decision().status.value) == "acting"
            if not self._wait(number, more, reason, since):
                return self._ask(reason)
        return self._stop(reason, "waited")

    def _compared(self) -> dict[str, Any] | None:
        """Have both revisions run on the same inputs, where the pipeline that the rows come from changed."""
        change: Any = self._helm.step("upstream", self._upstream)
        if change is None:
            return None
        both = rerun(
            self._helm,
            convert(change, PipelineChange, what="change"),
            key=f"decision:{self._helm.decision_id}",
        )
        found: dict[str, Any] = to_builtins(both)
        return found

    def _note_diagnosis(self, diagnosis: dict[str, Any], number: int) -> None:
        self._helm.step("diagnosed", lambda: self._diagnosed(diagnosis, number))

    def _ask(self, reason: str) -> bool:
        self._helm.step("ask", lambda: self._ask_for_labels(reason))
        return False

    def _stop(self, reason: str, result: str) -> bool:
        self._helm.step("end", lambda: self._end(reason, result))
        return False

    def _go_on(
        self, number: int, look: dict[str, Any], diagnosis: dict[str, Any], compared: dict[str, Any] | None
    ) -> tuple[int, str, int | None]:
        """Try and choose.

        Returns
        -------
        int
            How many labels to wait for; 0 when it is decided.
        str
            Why.
        int or None
            From which number of labels they count: that of the look, since labels that came while it was looked at
            are new; None for what is there now.
        """
        arguments = look["arguments"]
        if diagnosis["lacks_labels"]:
            short = max(1, self._settings.min_labels - diagnosis["n_labelled"])
            reason = f"{short} more labelled rows are needed before remedies can be judged"
            return short, reason, look["n_labelled"]
        causes = {Cause(name): probability for name, probability in diagnosis["causes"].items()}
        allowed = admissible(causes, contract_broken=diagnosis["contract_broken"])
        tried = self._try(number, arguments, allowed, causes, compared)
        if tried["lacks"] and allowed & _NEED_LABELS and tried.get("pin") is None:
            reason = f"{tried['lacks']} more labelled rows are needed to try remedies"
            return tried["lacks"], reason, look["n_labelled"]
        found = [convert(candidate, Candidate) for candidate in tried.get("candidates", [])]
        known: Any = self._helm.step("remember", lambda: self._remembered(causes))
        choice = choose(
            causes,
            believed(found, known, self._settings),
            self._settings,
            contract_broken=diagnosis["contract_broken"],
        )
        if choice.n_labels:
            return choice.n_labels, choice.reason, None
        if choice.remedy is Remedy.WAIT:
            return self._settings.min_labels, choice.reason, None
        alone: Any = self._helm.step("acted alone", self._acted_alone)
        choice = within_allowance(choice, alone, self._settings)
        if choice.policy is Policy.ASK and self._helm.step(
            "asked before", lambda: self._asked_before(choice)
        ):
            return 0, choice.reason, None
        basis = Basis(
            settings=self._helm.settings_json(),
            stages=[found["stage"] for found in diagnosis["evidence"]],
            credibility=known,
            acted_alone=alone,
        )
        self._helm.step("chosen", lambda: self._chosen(choice, means_of(tried, choice), basis))
        return 0, choice.reason, None

    def _try(
        self,
        number: int,
        arguments: dict[str, Any],
        allowed: frozenset[Remedy],
        causes: Mapping[Cause, float],
        compared: dict[str, Any] | None,
    ) -> dict[str, Any]:
        untried = {Remedy.FIX_PIPELINE} if compared is None else set()
        self._helm.step("trying", lambda: self._trying(allowed - untried))
        tried = self._remedies.run(number, arguments, allowed, causes, compared=compared)
        if not tried["lacks"]:
            self._helm.step("tried", lambda: self._tried(tried))
        return tried

    def _wait(self, number: int, n_labels: int, reason: str, since: int | None) -> bool:
        """Wait for labels; give False when none came in time."""
        begun: Any = self._helm.step("wait", lambda: self._waiting(n_labels, reason))
        enough = (begun["n_labelled"] if since is None else since) + n_labels

        def count() -> dict[str, Any]:
            found = self._helm.still()
            return {"n_labelled": self._helm.n_labelled(found.version)}

        seen: Any = self._helm.poll(
            "labels",
            count,
            until=lambda found: found["n_labelled"] >= enough,
            patience_s=self._settings.label_patience_s,
            longest_s=_LABELS_POLL_S,
        )
        if seen["n_labelled"] < enough:
            return False
        if number < self._settings.max_rounds:
            self._helm.step("again", lambda: self._again(number + 1))
        return True

    # What follows runs inside steps.

    def _look(self) -> dict[str, Any]:
        found = self._helm.still()
        endpoint = self._helm.context.service(Endpoints).get(found.project, found.endpoint)
        head = self._helm.context.service(Captures).head(found.project, found.endpoint)
        serving = {share.version for share in endpoint.shares}
        gone = "" if found.version in serving else f"Version {found.version} is not served any more"
        arguments = {
            "project": found.project,
            "endpoint": found.endpoint,
            "version": found.version,
            "onset_position": found.onset_position,
            "until_label": head.label_position,
            "settings": self._helm.settings_json(),
        }
        return {"gone": gone, "arguments": arguments, "n_labelled": self._helm.n_labelled(found.version)}

    def _upstream(self) -> dict[str, Any] | None:
        if self._settings.policy_of(Remedy.FIX_PIPELINE) is Policy.FORBID:
            return None  # a pipeline that must not run again may have effects outside
        found = self._helm.still()
        place = self._helm.context.service(Endpoints).get(found.project, found.endpoint)
        change = change_upstream(self._helm.context, found.project, place, found.onset_position)
        return None if change is None else to_builtins(change)

    def _diagnosed(self, diagnosis: dict[str, Any], number: int) -> None:
        cause = Cause(diagnosis["cause"])
        probability = diagnosis["causes"][cause.value]
        evidence = [convert(found, Evidence) for found in diagnosis["evidence"]]
        self._helm.record(
            RecordChange(
                task=diagnosis["task"],
                data_fingerprint=diagnosis["fingerprint"],
                evidence=evidence,
                cause=cause.value,
                cause_probability=diagnosis["causes"],
            )
        )
        about = f" ({diagnosis['subject']})" if diagnosis["subject"] else ""
        text = (
            f"The cause is {plain(cause)}{about} with probability {probability:.1%}, on {diagnosis['n_labelled']} "
            "labelled rows since the onset"
        )
        payload = {
            "round": number,
            "cause": cause.value,
            "probability": probability,
            "causes": diagnosis["causes"],
            "subject": diagnosis["subject"],
            "stages": {found.stage: found.verdict for found in evidence},
        }
        note(
            self._helm.context,
            self._helm.project,
            self._helm.decision_id,
            text=text,
            event=DECISION_DIAGNOSED,
            payload=payload,
            cause=cause,
            cause_probability=probability,
            subject=diagnosis["subject"],
        )

    def _trying(self, allowed: frozenset[Remedy]) -> None:
        remedies = sorted(remedy.value for remedy in allowed & (_TRIED | {Remedy.WAIT}))
        move(
            self._helm.context,
            self._helm.project,
            self._helm.decision_id,
            DecisionStatus.TRYING,
            text=f"Trying {', '.join(map(plain, remedies))} on the newest labelled rows",
            event=DECISION_TRYING,
            payload={"remedies": remedies},
        )

    def _tried(self, tried: dict[str, Any]) -> None:
        found = [convert(candidate, Candidate) for candidate in tried["candidates"]]
        self._helm.record(RecordChange(candidates=found))
        measured = [c for c in found if "score" in c.figures]
        scores = ", ".join(f"{plain(c.name)} {c.figures['score'].value:.3f}" for c in measured)
        text = f"Judged on the newest {tried['n_judged']} labelled rows: {scores}"
        payload = {
            "n_judged": tried["n_judged"],
            "candidates": [_told(c, tried["targets"]) for c in found],
        }
        note(
            self._helm.context,
            self._helm.project,
            self._helm.decision_id,
            text=text,
            event=DECISION_TRIED,
            payload=payload,
        )

    def _chosen(self, choice: Choice, means: Means, basis: Basis) -> None:
        self._helm.record(RecordChange(choice=choice.remedy.value, reason=choice.reason))
        acts = choice.policy is Policy.AUTOMATIC and means.is_there
        payload = {
            "remedy": choice.remedy.value,
            "policy": choice.policy.value,
            "version": means.version,
            "reason": choice.reason,
        }
        move(
            self._helm.context,
            self._helm.project,
            self._helm.decision_id,
            DecisionStatus.ACTING if acts else DecisionStatus.ASKING,
            text=choice.reason,
            event=DECISION_CHOSEN if acts else DECISION_ASKED,
            payload=payload,
            remedy=choice.remedy,
            target_version=means.version,
            way=means.way,
            repair=means.repair,
            pin=means.pin,
            basis=basis,
            reason=choice.reason,
        )

    def _remembered(self, causes: Mapping[Cause, float]) -> dict[str, float]:
        """Give the credibility of remedies by their outcomes for the likeliest cause."""
        return credibilities(self._records(), max(causes, key=causes.__getitem__))

    def _acted_alone(self) -> int:
        """Count what was carried out about the endpoint within a day without a person."""
        found, now = self._helm.decision(), self._helm.context.clock.now()
        with self._helm.context.database.read() as connection:
            return acted_alone(connection, found.project, found.endpoint, now=now, except_id=found.id)

    def _asked_before(self, choice: Choice) -> bool:
        """End the decision when a person rejected the same proposal on the same evidence."""
        found = self._helm.still()
        catalog = self._helm.context.service(Catalog)
        old = rejection_of(self._records(), catalog.get(found.project, found.record_id), choice.remedy)
        if old is None:
            return False
        said = (old.outcome or {}).get("reason", "")
        reason = f"{choice.reason}. It is not asked again: on the same evidence, record {old.id} was {lowered(said)}"
        self._helm.record(RecordChange(choice=choice.remedy.value, reason=reason))
        finish(self._helm.context, found, outcome={"result": NOT_ASKED, "record": old.id}, reason=reason)
        close_alerts(self._helm.context, found, f"Decision {found.id}: rejected before")
        return True

    def _records(self) -> list[DecisionRecord]:
        """Give the newest closed decisions of the project about remedies."""
        page = self._helm.context.service(Catalog).list(
            self._helm.project, kind=RecordKind.REMEDY.value, limit=_REMEMBERED
        )
        return [record for record in page.items if record.closed_at is not None]

    def _waiting(self, n_labels: int, reason: str) -> dict[str, Any]:
        found = move(
            self._helm.context,
            self._helm.project,
            self._helm.decision_id,
            DecisionStatus.WAITING,
            text=reason,
            event=DECISION_WAITING,
            payload={"n_labels": n_labels, "reason": reason},
            reason=reason,
        )
        return {"n_labelled": self._helm.n_labelled(found.version)}

    def _again(self, number: int) -> None:
        move(
            self._helm.context,
            self._helm.project,
            self._helm.decision_id,
            DecisionStatus.DIAGNOSING,
            text="The labels came; looking again",
            round=number,
        )

    def _ask_for_labels(self, why: str) -> None:
        reason = f"The labels did not come in time. {why}"
        self._helm.record(RecordChange(choice=Remedy.ASK.value, reason=reason))
        payload = {"remedy": Remedy.ASK.value, "version": None, "reason": reason}
        move(
            self._helm.context,
            self._helm.project,
            self._helm.decision_id,
            DecisionStatus.ASKING,
            text=reason,
            event=DECISION_ASKED,
            payload=payload,
            remedy=Remedy.ASK,
            reason=reason,
        )

    def _end(self, reason: str, result: str) -> None:
        found = self._helm.still()
        self._helm.record(RecordChange(choice=Remedy.WAIT.value, reason=reason))
        finish(self._helm.context, found, outcome={"result": result}, reason=reason)
        # Trouble that goes on is raised anew, by fresh labels.
        close_alerts(self._helm.context, found, f"Decision {found.id}: {Remedy.WAIT.value}")


def lowered(text: str) -> str:
    """Give a sentence as the end of another one."""
    return text[:1].lower() + text[1:]


def _told(candidate: Candidate, targets: dict[str, int]) -> dict[str, Any]:
    """Give a candidate as the event tells it."""
    told: dict[str, Any] = {
        "name": candidate.name,
        "admissible": candidate.admissible,
        "note": candidate.note,
        "version": targets.get(candidate.name),
    }
    if "score" in candidate.figures:
        told["score"] = to_builtins(candidate.figures["score"])
    if candidate.gain is not None:
        told["gain"] = to_builtins(candidate.gain)
    return told
