"""Decisions that were under way when the server was upgraded: by steps and records of 0.4.0, ended by this version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.control.loop import ControlLoop, ControlSettings
from noria.core.control.workflows import JSON, Steps, Workflow
from noria.core.events.log import EventLog
from noria.decisions import control
from noria.decisions.action import Action
from noria.decisions.course import Course
from noria.decisions.entities import Answer, Cause, DecisionSection, DecisionStatus, Policy, Remedy
from noria.decisions.events import DECISION_CHOSEN
from noria.decisions.ledger import move
from noria.decisions.service import Decisions
from noria.decisions.steering import Helm
from noria.monitoring.service import Monitors
from noria.serving.endpoints import Endpoints
from noria.serving.service import Rollouts
from support.decisions import PROJECT, Incident, blobs
from support.waiting import wait_until

KNOWN, ALL = [0, 1, 2], [0, 1, 2, 3]
PATIENCE_S = 120.0


def decide_in_0_4(steps: Steps, app: Context, event: Mapping[str, Any]) -> JSON:
    """Decide by the steps of 0.4.0: their order, names, keys of jobs, and the form of their answers."""
    context = app.acting_as(control.CONTROL)
    opened: Any = steps.run("open", lambda: control._open(context, event))
    helm = Helm(steps, context, PROJECT, opened["decision"])
    course = Course(helm)
    look = helm.step("look", lambda: without(course._look(), "n_labelled"))
    diagnosis = helm.job("diagnose", look["arguments"], key="diagnose:1")
    helm.step("diagnosed", lambda: course._diagnosed(diagnosis, 1))
    if diagnosis["lacks_labels"]:
        helm.step("wait", lambda: course._waiting(40, "40 more labelled rows are needed"))
        for_ever(helm, "labels", lambda: {"ended": False, "n_labelled": 0})
    helm.step("trying", lambda: course._trying(frozenset({Remedy.RETRAIN, Remedy.WAIT})))
    taught = helm.job("teach", {**look["arguments"], "everything": False}, key="teach:1")
    run_id, _ = helm.pipeline(taught["run"], key="retrain:1")
    # The worker is this version's, and takes runs by scheme; 0.4.0 gave `run_id` alone.
    runs = [{"scheme": "all", "run_id": run_id, "why_not": ""}]
    judged = {"runs": runs, "why_not": "", "made": {}, "cut_position": taught["cut_position"]}
    judged["allowed"] = ["retrain"]
    tried = helm.job("try_remedies", {**look["arguments"], **judged, "until_label": None}, key="try:1")
    tried = without(tried, "ways")
    helm.step("tried", lambda: course._tried(tried))
    target = tried["targets"]["retrain"]
    acts = helm.settings.policy_of(Remedy.RETRAIN) is Policy.AUTOMATIC
    to = DecisionStatus.ACTING if acts else DecisionStatus.ASKING
    helm.step("chosen", lambda: chosen(helm, to, target))
    if helm.step("standing", lambda: helm.decision().status.value) == "acting":
        act_in_0_4(helm)
    return {"decision": helm.decision_id, "result": "ran"}


def carry_out_in_0_4(steps: Steps, app: Context, event: Mapping[str, Any]) -> JSON:
    """Carry out what was approved by the steps of 0.4.0."""
    helm = Helm(steps, app.acting_as(control.CONTROL), PROJECT, event["payload"]["decision"])
    act_in_0_4(helm)
    return {"decision": helm.decision_id, "result": "ran"}


def act_in_0_4(helm: Helm) -> None:
    action = Action(helm)
    begun = helm.step("begin", lambda: without(action._begin(), "way", "is_out", "n_labelled"))
    taught = helm.job("teach", {**begun["arguments"], "everything": True}, key="teach:all")
    run_id, _ = helm.pipeline(taught["run"], key="retrain:all")
    place = {"project": PROJECT, "endpoint": begun["arguments"]["endpoint"]}
    checked = helm.job("check_refit", {**place, "tried": begun["target"], "run_id": run_id}, key="check")
    version = checked["version"]

    def deploy() -> str:
        deployed = action._deploy(version, checked["sentence"])
        assert deployed is not None
        return deployed["rollout"]

    rollout = helm.step("deploy", deploy)
    helm.poll(
        "rollout",
        lambda: action._rollout(rollout),
        until=lambda found: bool(found["finished"]),
        patience_s=float("inf"),
        longest_s=2.0,
    )
    helm.step("promoted", lambda: action._promoted(version))
    for_ever(helm, "outcome labels", lambda: {"n_labelled": 0})


def chosen(helm: Helm, to: DecisionStatus, target: int) -> None:
    """Write the choice down as 0.4.0 did: without how it is done, and without what it rests on."""
    move(
        helm.context,
        PROJECT,
        helm.decision_id,
        to,
        text="Retraining gains most",
        event=DECISION_CHOSEN,
        payload={},
        remedy=Remedy.RETRAIN,
        target_version=target,
        reason="Retraining gains most",
    )


def for_ever(helm: Helm, name: str, fn: Callable[[], Any]) -> None:
    helm.poll(name, fn, until=lambda _: False, patience_s=float("inf"), longest_s=10.0)


def without(answer: Any, *names: str) -> Any:
    return {name: value for name, value in answer.items() if name not in names}


OLD = (
    Workflow(control.DECIDE, decide_in_0_4),
    Workflow(control.CARRY_OUT, carry_out_in_0_4),
)


@contextmanager
def server(
    incident: Incident, folder: Path, workflows: tuple[Workflow, ...] = control.WORKFLOWS
) -> Iterator[ControlLoop]:
    """Run the control loop of a server on the incident's workspace."""
    loop = ControlLoop(
        settings=ControlSettings(url=f"sqlite:///{folder / 'control.db'}", poll_s=0.02),
        app=incident.context,
        clock=incident.context.clock,
        workflows=workflows,
    )
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()


def live(incident: Incident, until: Callable[[], object], *, rollouts: bool = True) -> None:
    """Let a worker work, rollouts end and time pass until something is so."""

    def found() -> object:
        if until():
            return True
        incident.work()
        if rollouts:
            incident.end_rollouts()
        incident.context.clock.sleep(1.0)
        return False

    wait_until(found, PATIENCE_S, "it did not come so far")


def stands(incident: Incident, *statuses: DecisionStatus) -> bool:
    found = incident.context.service(Decisions).list(PROJECT).items
    return bool(found) and found[0].status in statuses


def alarmed(incident: Incident, n_labelled: int) -> dict[str, Any]:
    """Let a new class come up and raise the alert; give its event."""
    incident.answer(*blobs(100, KNOWN, seed=1))
    x, y = blobs(120, ALL, seed=2)
    onset = incident.answer(x[:n_labelled], y[:n_labelled])[0]
    alert = incident.alarm(onset)
    payload = {
        "alert": alert.id,
        "endpoint": alert.endpoint,
        "kind": alert.kind.value,
        "version": alert.version,
        "sentence": alert.sentence,
        "onset_position": alert.onset_position,
    }
    return {"project": PROJECT, "payload": payload}


def assert_ended_whole(incident: Incident) -> None:
    """Check that it ended once, as it would have without the upgrade."""
    found = incident.decision()
    record = incident.context.service(Catalog).get(PROJECT, found.record_id)
    types = [e.type for e in EventLog(incident.context.database).read(0, limit=1000)]

    assert found.status is DecisionStatus.DONE, (found.reason, found.timeline)
    assert (found.cause, found.remedy) == (Cause.NEW_CLASS, Remedy.RETRAIN), found.reason
    assert record.outcome is not None
    assert record.outcome["result"] == "promoted"
    assert record.outcome["score_after"] > 0.95 > record.outcome["score_before"]
    assert len(incident.context.service(Decisions).list(PROJECT).items) == 1
    assert len(incident.context.service(Rollouts).list(PROJECT).items) == 2
    assert incident.context.service(Endpoints).get(PROJECT, "shop").version == found.target_version
    assert incident.context.service(Monitors).alerts(PROJECT, open_only=True).items == []
    assert types.count("decision.finished") == 1


@pytest.mark.parametrize(
    ("was", "n_labelled"),
    [
        pytest.param(DecisionStatus.WAITING, 15, marks=pytest.mark.soak),
        (DecisionStatus.TRYING, 120),
        (DecisionStatus.ACTING, 120),
        pytest.param(DecisionStatus.MEASURING, 120, marks=pytest.mark.soak),
    ],
)
def test_a_decision_of_the_version_before_ends_whole(
    incident: Incident, tmp_path: Path, was: DecisionStatus, n_labelled: int
) -> None:
    """However far it had come: what was done is not done again, what was not is done by the new order of steps."""
    event = alarmed(incident, n_labelled)
    with server(incident, tmp_path, OLD) as loop:
        loop.submit(control.DECIDE, "alert", event)
        live(incident, lambda: stands(incident, was), rollouts=was is DecisionStatus.MEASURING)
        if was is DecisionStatus.ACTING:
            live(incident, lambda: incident.decision().rollout_id, rollouts=False)
    before = incident.decision()
    incident.answer(*blobs(120, ALL, seed=3))
    with server(incident, tmp_path) as loop:
        live(incident, lambda: stands(incident, DecisionStatus.MEASURING, DecisionStatus.FAILED))
        incident.answer(*blobs(40, ALL, seed=4))
        live(incident, lambda: stands(incident, DecisionStatus.DONE, DecisionStatus.FAILED))
        assert loop.status("alert").answer == {"began_again": "alert:again"}

    assert_ended_whole(incident)
    after = incident.decision()
    assert after.timeline[: len(before.timeline)] == before.timeline
    changed = any("Noria was changed" in moment.text for moment in after.timeline)
    assert changed is (was in (DecisionStatus.WAITING, DecisionStatus.TRYING))
    if before.rollout_id is not None:
        assert (after.rollout_id, after.target_version) == (before.rollout_id, before.target_version)
        assert incident.n_versions("customers") == 3


class TestAsked:
    @pytest.fixture
    def settings(self) -> DecisionSection:
        """Let a person decide about retrainings."""
        return DecisionSection(
            policy={Remedy.RETRAIN: Policy.ASK}, outcome_labels=20, outcome_patience_s=60.0
        )

    def test_what_was_approved_before_the_upgrade_is_carried_out(
        self, incident: Incident, tmp_path: Path
    ) -> None:
        """An approval whose refit was under way goes on with it."""
        event = alarmed(incident, 120)
        with server(incident, tmp_path, OLD) as loop:
            loop.submit(control.DECIDE, "alert", event)
            live(incident, lambda: stands(incident, DecisionStatus.ASKING))
            asked = incident.decision()
            incident.context.service(Decisions).approve(PROJECT, asked.id, Answer())
            approval: dict[str, Any] = {"project": PROJECT, "payload": {"decision": asked.id}}
            loop.submit(control.CARRY_OUT, "approval", approval)
            live(incident, lambda: incident.n_versions("customers") == 3)
        with server(incident, tmp_path) as loop:
            live(incident, lambda: stands(incident, DecisionStatus.MEASURING, DecisionStatus.FAILED))
            incident.answer(*blobs(40, ALL, seed=4))
            live(incident, lambda: stands(incident, DecisionStatus.DONE, DecisionStatus.FAILED))
            assert loop.status("approval").answer == {"began_again": "approval:again"}

        assert_ended_whole(incident)
        assert incident.n_versions("customers") == 3
