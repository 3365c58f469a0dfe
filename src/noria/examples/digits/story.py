"""The digits story, told by doing it: public commands and SDK calls only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

import noria
from noria.examples.digits.figures import Figures
from noria.examples.digits.incidents import SCENES, Ending, damaged
from noria.examples.digits.kinds import Incident
from noria.examples.digits.roles import Part, Roles
from noria.examples.digits.screen import Screen
from noria.examples.digits.traffic import Request, Traffic, changed, endless, labelled, mixed
from noria.examples.house import House

RATE = 36.0  # requests per second
QUIET_TAIL_S = 3.0
PATIENCE_S = 600.0  # after the onset; a busy machine needs it
CALM_S = 26.0  # how long the traffic without an incident goes on: about as long as the story takes otherwise
_POLL_S = 0.2

ENDPOINT = "digits"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitted:
    """A version, what it was trained on, and how it did."""

    ref: str
    dataset: str
    message: str


class Story:
    """One run of the demo.

    Parameters
    ----------
    house
        Where it takes place.
    screen
        Where it is told.
    seed
        Deals out the images and fits the candidates.
    incident
        What goes wrong.
    """

    def __init__(self, house: House, screen: Screen, *, seed: int, incident: Incident) -> None:
        self._house = house
        self._screen = screen
        self._seed = seed
        self._incident = incident
        self._scene = SCENES[incident]
        self._roles: Roles = self._scene.roles(seed)
        self._at_onset = 1
        self._damaged: _Fitted | None = None
        self._onset: datetime | None = None
        self._watched: dict[str, dict[str, Any]] = {}
        self._subjects: dict[str, str | None] = {}
        self._at: dict[str, datetime] = {}
        self._position = 0

    def tell(self) -> Figures:
        """Live through the story and measure it."""
        began = time.monotonic()
        self._screen.open(self._roles, title=self._scene.title, seed=self._seed, folder=self._house.folder)
        with self._house.up(), self._house.open() as workspace, noria.use_workspace(workspace):
            self._screen.say("up", f"server, worker and model server: {self._house.url}")
            self._train()
            self._deploy()
            traffic = self._live()
            figures = self._measure(traffic, began)
        self._screen.close(figures)
        return figures

    def _train(self) -> None:
        version = self._fit(self._roles.training, "scanned digits")
        known = "".join(str(digit) for digit in sorted({int(digit) for digit in self._roles.training.y}))
        self._screen.say(
            "data", f"{version.dataset}: {len(self._roles.training)} images of the digits {known}"
        )
        self._house.run("models", "promote", version.ref, "champion")
        self._screen.say("train", f"{version.ref} is champion. {version.message}")

    def _fit(self, part: Part, message: str) -> _Fitted:
        added = noria.dataset("digits-train").add(
            {**self._scene.inputs(part.x), "y": part.y}, message=message
        )
        params = {"dataset": added.ref, "seed": self._seed}
        if self._scene.only:
            params["only"] = self._scene.only
        given = [word for name, value in params.items() for word in ("-p", f"{name}={value}")]
        self._house.run("run", "digits_pipeline:train", *given)
        found = noria.model("digits").version
        return _Fitted(ref=found.ref, dataset=added.ref, message=found.message)

    def _release(self) -> None:
        """Deploy a damaged version at once, as somebody in a hurry would."""
        version = self._damaged
        assert version is not None  # noqa: S101 - fitted before the traffic began
        self._house.run("deploy", version.ref, "--to", ENDPOINT, "--strategy", "replace")
        self._house.run("models", "promote", version.ref, "champion")
        self._at_onset = 2

    def _deploy(self) -> None:
        self._house.run("deploy", "digits@champion", "--to", ENDPOINT)
        self._screen.say("serve", f"digits@1 answers at the endpoint `{ENDPOINT}`, in a process of its own")
        if self._scene.releases:
            self._damaged = self._fit(damaged(self._roles.training), "a damaged export: 4 and 9 exchanged")

    def _live(self) -> Traffic:
        traffic = Traffic(noria.endpoint(ENDPOINT), rate=RATE)
        quiet = self._roles.quiet
        try:
            traffic.start(labelled(quiet, self._scene.inputs))
            quiet_s = len(quiet) / RATE + QUIET_TAIL_S
            self._screen.say("quiet", f"{len(quiet)} requests; true labels arrive late")
            self._watch(traffic, until=_after(quiet_s))
            if self._scene.releases:
                self._release()
            self._onset = datetime.now(UTC)
            share = self._scene.labelled_share
            self._screen.say("onset", f"{self._scene.onset}; {share:.0%} of the traffic gets labels")
            traffic.turn_to(self._requests())
            if self._scene.ending is Ending.NOTHING:
                self._watch(traffic, until=_after(CALM_S))
            else:
                patience = _after(PATIENCE_S)
                self._watch(traffic, until=lambda: self._ending() is not None or patience())
        finally:
            traffic.stop()
        return traffic

    def _ending(self) -> dict[str, Any] | None:
        """Give the event with which the story is over, once it came."""
        asked = self._watched.get(Ending.QUESTION) if self._scene.may_ask else None
        return self._watched.get(self._scene.ending.value) or asked

    def _requests(self) -> Iterator[Request]:
        """Give what is sent from the onset on."""
        scene, roles = self._scene, self._roles
        told = labelled(roles.labelled, scene.inputs, scene.relabel)
        found = mixed(told, endless(roles.unlabelled, scene.inputs), share=scene.labelled_share)
        return found if scene.change is None else changed(found, scene.change)

    def _watch(self, traffic: Traffic, *, until: Callable[[], bool]) -> None:
        while not until():
            for event in self._new_events():
                self._position = event.position
                if self._onset is not None and self._is_news(event.type, event.payload):
                    self._at[event.type] = event.at
                    self._watched[event.type] = event.payload
                if event.type == "decision.diagnosed":
                    self._subjects[event.payload["decision"]] = event.payload["subject"]
                self._screen.event(event.type, event.payload)
            self._screen.traffic(traffic.counts)
            time.sleep(_POLL_S)

    def _is_news(self, kind: str, payload: dict[str, Any]) -> bool:
        """Tell whether an event is the first of its kind since the onset, which a release may be.

        Late labels of an old version open decisions beside it.
        """
        release = kind.startswith("rollout.") and payload.get("to") == self._at_onset
        acted = self._watched.get("decision.acted")
        beside = kind == "decision.finished" and acted and acted["decision"] != payload["decision"]
        for_labels = kind == Ending.QUESTION and payload.get("remedy") == "ask" and not self._scene.may_ask
        return kind not in self._watched and not beside and not for_labels and not release

    def _new_events(self) -> list[Any]:
        try:
            return noria.events(after=self._position)
        except noria.Unavailable:
            return []  # the server is being started again; its log goes on where it was

    def _measure(self, traffic: Traffic, began: float) -> Figures:
        serving = _serving_version(self._house)
        before, after = noria.model(f"digits@{self._at_onset}"), noria.model(f"digits@{serving}")
        decision = self._ending() if self._scene.ending else self._watched.get("decision.started")
        record = noria.record(str(decision["record"])) if decision else None
        promoted = "rollout.promoted" in self._watched and serving != self._at_onset
        closed = promoted and record is not None and record.closed_at is not None
        about_zeros = self._incident in (Incident.NEW_DIGIT, Incident.NONE)
        return Figures(
            seed=self._seed,
            incident=self._incident.value,
            closed=closed,
            ended_well=self._ended_well(decision, closed=closed, serving=serving),
            cause=record.cause if record else None,
            subject=self._subjects.get(str(decision["decision"])) if decision else None,
            remedy=record.choice if record else None,
            reason=record.reason if record else "",
            version_before=self._at_onset,
            version_after=serving,
            zeros_accuracy_before=self._accuracy(before, self._roles.final_zeros) if about_zeros else None,
            zeros_accuracy_after=self._accuracy(after, self._roles.final_zeros) if about_zeros else None,
            overall_accuracy_before=self._accuracy(before, self._roles.final),
            overall_accuracy_after=self._accuracy(after, self._roles.final),
            requests_sent=traffic.counts.n_sent,
            requests_failed=traffic.counts.n_failed,
            labels_sent=traffic.counts.n_labels,
            onset_to_detection_s=self._since_onset("alert.opened"),
            onset_to_recovery_s=self._since_onset("rollout.promoted"),
            duration_s=round(time.monotonic() - began, 1),
            decision_id=str(decision["decision"]) if decision else None,
            url=self._page(decision),
            folder=str(self._house.folder),
        )

    def _ended_well(self, decision: dict[str, Any] | None, *, closed: bool, serving: int) -> bool:
        if self._scene.ending is Ending.NOTHING:
            return decision is None
        if self._scene.ending is Ending.QUESTION:
            return decision is not None and serving == self._at_onset
        asked = self._scene.may_ask and Ending.QUESTION in self._watched
        return closed or (asked and serving == self._at_onset)

    def _accuracy(self, model: Any, part: Part) -> float:
        """Measure on final images as they come since the onset."""
        scene = self._scene
        requests = labelled(part, scene.inputs, scene.relabel)
        sent = list(requests if scene.change is None else changed(requests, scene.change))
        if not sent:
            return float("nan")
        inputs = {name: np.concatenate([r.inputs[name] for r in sent]) for name in sent[0].inputs}
        return float(np.mean(model.predict(inputs) == np.array([r.digit for r in sent])))

    def _since_onset(self, kind: str) -> float | None:
        at = self._at.get(kind)
        return None if at is None or self._onset is None else round((at - self._onset).total_seconds(), 1)

    def _page(self, decision: dict[str, Any] | None) -> str | None:
        if decision is None:
            return self._house.url
        return f"{self._house.url}/decisions/default/{decision['decision']}"


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def _serving_version(house: House) -> int:
    shown: Any = house.run_json("endpoints", "show", ENDPOINT)
    return int(max(shown["endpoint"]["shares"], key=lambda share: share["weight"])["version"])
