"""The digits story, told by doing it: public commands and SDK calls only."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import noria
from noria.examples.digits.figures import Figures
from noria.examples.digits.roles import Part, Roles, assign
from noria.examples.digits.screen import Screen
from noria.examples.digits.traffic import Traffic, endless, labelled, mixed
from noria.examples.house import House

RATE = 36.0  # requests per second
LABELLED_SHARE = 0.5  # of the requests after the onset, while there are images left to label
QUIET_TAIL_S = 3.0
PATIENCE_S = 150.0  # after the onset
CALM_S = 26.0  # how long the traffic without an incident goes on: about as long as the story takes otherwise
_POLL_S = 0.2

ENDPOINT = "digits"


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
        False sends the same traffic without the new digit.
    """

    def __init__(self, house: House, screen: Screen, *, seed: int, incident: bool) -> None:
        self._house = house
        self._screen = screen
        self._seed = seed
        self._incident = incident
        self._roles: Roles = assign(seed, zeros=incident)
        self._onset: datetime | None = None
        self._watched: dict[str, dict[str, Any]] = {}
        self._at: dict[str, datetime] = {}
        self._position = 0

    def tell(self) -> Figures:
        """Live through the story and measure it."""
        began = time.monotonic()
        self._screen.open(self._roles, seed=self._seed, folder=self._house.folder)
        with self._house.up(), self._house.open() as workspace, noria.use_workspace(workspace):
            self._screen.say("up", f"server, worker and model server: {self._house.url}")
            self._train()
            self._deploy()
            traffic = self._live()
            figures = self._measure(traffic, began)
        self._screen.close(figures)
        return figures

    def _train(self) -> None:
        part = self._roles.training
        version = noria.dataset("digits-train").add(
            {"x": part.x, "y": part.y}, message="scanned digits 1 to 9"
        )
        self._screen.say("data", f"{version.ref}: {version.n_rows} images of the digits 1 to 9, no 0")
        self._house.run(
            "run", "digits_pipeline:train", "-p", f"dataset={version.ref}", "-p", f"seed={self._seed}"
        )
        champion = noria.model("digits").version
        self._house.run("models", "promote", champion.ref, "champion")
        self._screen.say("train", f"{champion.ref} is champion. {champion.message}")

    def _deploy(self) -> None:
        self._house.run("deploy", "digits@champion", "--to", ENDPOINT)
        self._screen.say("serve", f"digits@1 answers at the endpoint `{ENDPOINT}`, in a process of its own")

    def _live(self) -> Traffic:
        traffic = Traffic(noria.endpoint(ENDPOINT), rate=RATE)
        quiet = self._roles.quiet
        try:
            traffic.start(labelled(quiet))
            quiet_s = len(quiet) / RATE + QUIET_TAIL_S
            self._screen.say("quiet", f"{len(quiet)} requests, digits 1 to 9; true labels arrive late")
            self._watch(traffic, until=_after(quiet_s))
            self._onset = datetime.now(UTC)
            known = "all ten digits" if self._incident else "still the digits 1 to 9"
            self._screen.say("onset", f"traffic turns to {known}; {LABELLED_SHARE:.0%} of it gets labels")
            traffic.turn_to(
                mixed(labelled(self._roles.labelled), endless(self._roles.unlabelled), share=LABELLED_SHARE)
            )
            if self._incident:
                patience = _after(PATIENCE_S)
                self._watch(traffic, until=lambda: "decision.finished" in self._watched or patience())
            else:
                self._watch(traffic, until=_after(CALM_S))
        finally:
            traffic.stop()
        return traffic

    def _watch(self, traffic: Traffic, *, until: Callable[[], bool]) -> None:
        while not until():
            for event in self._new_events():
                self._position = event.position
                if self._onset is not None and self._is_news(event.type, event.payload):
                    self._at[event.type] = event.at
                    self._watched[event.type] = event.payload
                self._screen.event(event.type, event.payload)
            self._screen.traffic(traffic.counts)
            time.sleep(_POLL_S)

    def _is_news(self, kind: str, payload: dict[str, Any]) -> bool:
        """Tell whether an event is the first of its kind; late labels of an old version open decisions beside it."""
        acted = self._watched.get("decision.acted")
        beside = kind == "decision.finished" and acted and acted["decision"] != payload["decision"]
        return kind not in self._watched and not beside

    def _new_events(self) -> list[Any]:
        try:
            return noria.events(after=self._position)
        except noria.Unavailable:
            return []  # the server is being started again; its log goes on where it was

    def _measure(self, traffic: Traffic, began: float) -> Figures:
        serving = _serving_version(self._house)
        before, after = noria.model("digits@1"), noria.model(f"digits@{serving}")
        decision = self._watched.get("decision.finished")
        record = noria.record(str(decision["record"])) if decision else None
        promoted = "rollout.promoted" in self._watched and serving != 1
        return Figures(
            seed=self._seed,
            incident="new-digit" if self._incident else "none",
            closed=promoted and record is not None and record.closed_at is not None,
            cause=record.cause if record else None,
            remedy=record.choice if record else None,
            zeros_accuracy_before=_accuracy(before, self._roles.final_zeros),
            zeros_accuracy_after=_accuracy(after, self._roles.final_zeros),
            overall_accuracy_before=_accuracy(before, self._roles.final),
            overall_accuracy_after=_accuracy(after, self._roles.final),
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


def _accuracy(model: Any, part: Part) -> float:
    if not len(part):
        return float("nan")
    return float((model.predict({"x": part.x}) == part.y).mean())
