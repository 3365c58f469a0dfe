"""An endpoint with traffic, labels and an alert, and a worker that works in this process when the workflow sleeps."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import make_blobs

from noria.core.context import Context
from noria.core.control.testing import InlineSteps
from noria.core.errors import NoriaError
from noria.core.ids import new_id
from noria.core.workspace import InProcess, Workspace
from noria.decisions.control import carry_out, decide
from noria.decisions.entities import Decision
from noria.decisions.service import Decisions
from noria.monitoring.entities import Alert, AlertKind, Look, NewAlert
from noria.monitoring.service import Monitors
from noria.pipelines.job_entities import JobStatus, Outcome, WorkerInfo
from noria.pipelines.jobs import Jobs
from noria.registry.client import model
from noria.registry.service import Models
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Deployment, Reason, RolloutStatus
from noria.serving.predictions import CaptureBatch, LabelBatch, NewLabel, Prediction
from noria.serving.repairs.applying import Repairer
from noria.serving.rollouts.service import Rollouts

PROJECT = "default"


def blobs(n: int, classes: list[int], seed: int) -> tuple[Any, Any]:
    """Draw rows of some of four clouds in five dimensions."""
    x, y = make_blobs(
        n_samples=n * 8, n_features=5, centers=4, cluster_std=1.2, center_box=(-6, 6), random_state=3
    )
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(np.isin(y, classes)))[:n]
    return x[chosen], y[chosen]


@dataclass(slots=True)
class Incident:
    """An endpoint whose traffic is made up by a test."""

    context: Context
    endpoint: str = "shop"
    folder: Path = field(default_factory=Path)
    passes: bool = True
    """Whether rollouts pass their gates."""
    on_sleep: list[Callable[[], object]] = field(default_factory=list)
    """What the world does, one at each sleep of a workflow that finds no job to do."""
    through: Workspace | None = None
    """How workers and people reach the workspace, where not in this process."""

    @property
    def workspace(self) -> Workspace:
        """The workspace as jobs see it."""
        if self.through is not None:
            return self.through
        return Workspace(self.context.settings, InProcess(self.context), self.context.clock)

    def deploy(self, name: str, version: int = 1) -> None:
        """Put a version live at once."""
        plan = Deployment(model=name, version=version)
        self.context.service(Endpoints).deploy(PROJECT, self.endpoint, plan)
        self.context.service(Monitors).watch(PROJECT, self.endpoint)

    def answer(self, x: Any, y: Iterable[Any] | None = None, *, version: int | None = None) -> list[int]:
        """Let the serving version answer rows, and label them; give their positions."""
        place = self.context.service(Endpoints).get(PROJECT, self.endpoint)
        number = version or place.version
        loaded = model(f"{place.model}@{number}", workspace=self.workspace)
        seen, received = self._repaired({"x": np.asarray(x)})
        predicted = loaded.predict(seen).tolist()
        made = [
            Prediction(
                id=new_id(),
                version=number,
                at=self.context.clock.now() + timedelta(milliseconds=index),
                inputs={"x": row.tolist()},
                outputs={
                    "predictions": value,
                    **{name: each[index].tolist() for name, each in received.items()},
                },
                revision=place.revision,
            )
            for index, (row, value) in enumerate(zip(seen["x"], predicted, strict=True))
        ]
        captures = self.context.service(Captures)
        before = captures.head(PROJECT, self.endpoint).position
        captures.append(PROJECT, self.endpoint, CaptureBatch(predictions=made))
        if y is not None:
            labels = [NewLabel(prediction_id=p.id, value=v) for p, v in zip(made, _plain(y), strict=True)]
            captures.label(PROJECT, self.endpoint, LabelBatch(labels=labels))
        return list(range(before + 1, before + 1 + len(made)))

    def _repaired(self, arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Put inputs right as a model server does that follows the plans."""
        plans = self.context.service(Endpoints).plans().plans or []
        repair = next(plan.repair for plan in plans if plan.endpoint == self.endpoint)
        return Repairer(repair)(arrays) if repair else (arrays, {})

    def alarm(self, onset_position: int, *, kind: AlertKind = AlertKind.QUALITY, version: int = 1) -> Alert:
        """Raise an alert as a monitor does."""
        monitors = self.context.service(Monitors)
        monitor = monitors.get(PROJECT, self.endpoint)
        head = self.context.service(Captures).head(PROJECT, self.endpoint)
        new = NewAlert(
            kind=kind,
            version=version,
            figures={},
            sentence=f"The {kind.value} of `{self.endpoint}` is not what it was",
            onset_position=onset_position,
            last_position=head.position,
        )
        look = Look(
            from_position=monitor.position,
            from_label_position=monitor.label_position,
            position=head.position,
            label_position=head.label_position,
            version=version,
            windows=[],
            detector=None,
            quality=None,
            alerts=[new],
        )
        monitors.record(PROJECT, self.endpoint, look)
        return monitors.alerts(PROJECT, open_only=True).items[0]

    def decide(self, alert: Alert, steps: InlineSteps | None = None) -> Any:
        """Run the workflow that the alert's event starts."""
        event = {
            "project": PROJECT,
            "payload": {
                "alert": alert.id,
                "endpoint": alert.endpoint,
                "kind": alert.kind.value,
                "version": alert.version,
                "sentence": alert.sentence,
                "onset_position": alert.onset_position,
            },
        }
        return decide.fn(steps or self.steps(), self.context, event)

    def carry_out(self, decision: Decision) -> Any:
        """Run the workflow that an approval starts."""
        event = {"project": PROJECT, "payload": {"decision": decision.id}}
        return carry_out.fn(self.steps(), self.context, event)

    def steps(self) -> WorkingSteps:
        """Give steps during whose sleeps a worker works and rollouts go on."""
        return WorkingSteps(self)

    def decision(self) -> Decision:
        """Give the newest decision."""
        return self.context.service(Decisions).list(PROJECT).items[0]

    def work(self) -> int:
        """Do every queued job; give how many."""
        jobs = self.context.service(Jobs)
        done = 0
        while (claim := jobs.claim(WorkerInfo(name="test")).claimed) is not None:
            status, result, error = JobStatus.SUCCEEDED, None, None
            try:
                result = self._call(claim.job.entry, claim.job.args, claim.job.snapshot)
            except NoriaError as raised:
                status, error = JobStatus.FAILED, raised.to_body()
            outcome = Outcome(
                worker="test", attempt=claim.job.attempt, status=status, result=result, error=error
            )
            jobs.finish(PROJECT, claim.job.id, outcome)
            done += 1
        return done

    def end_rollouts(self) -> None:
        """Let every rollout pass, or fail."""
        rollouts = self.context.service(Rollouts)
        for rollout in rollouts.list(PROJECT, status=RolloutStatus.RUNNING).items:
            if self.passes:
                rollouts.promote(PROJECT, rollout.id, Reason(reason="the gates passed"))
            else:
                rollouts.abort(PROJECT, rollout.id, Reason(reason="a gate failed"))

    def n_versions(self, name: str) -> int:
        """Count the versions of a model."""
        return self.context.service(Models).get(PROJECT, name).latest

    def _call(self, entry: str, arguments: Mapping[str, Any], snapshot: str | None) -> Any:
        del snapshot  # the project's code as it is now
        module, _, function = entry.partition(":")
        with contextlib.chdir(self.folder):
            return getattr(importlib.import_module(module), function)(self.workspace, **arguments)


class WorkingSteps(InlineSteps):
    """Steps that let the world go on while they sleep."""

    def __init__(self, incident: Incident) -> None:
        super().__init__(incident.context.clock)
        self._incident = incident

    def sleep(self, seconds: float) -> None:
        """Work, and move the clock."""
        n_done = self._incident.work()
        self._incident.end_rollouts()
        if not n_done and self._incident.on_sleep:
            self._incident.on_sleep.pop(0)()
        super().sleep(seconds)


class Killed(BaseException):
    """The process died."""


class DyingSteps(WorkingSteps):
    """Steps that are recorded; the process dies after one took effect and before that was recorded.

    Parameters
    ----------
    journal
        Answers recorded so far: a rerun gets them instead of effects.
    dies_after
        So many new records are made; None lets it live.
    """

    def __init__(self, incident: Incident, journal: list[Any], dies_after: int | None = None) -> None:
        super().__init__(incident)
        self._journal, self._read, self._left = journal, 0, dies_after

    def run(self, name: str, fn: Callable[[], Any]) -> Any:
        """Answer from the journal, else run the step."""
        return self._recorded(lambda: super(DyingSteps, self).run(name, fn))

    def sleep(self, seconds: float) -> None:
        """Sleep unless it was slept already."""
        self._recorded(lambda: super(DyingSteps, self).sleep(seconds))

    def now(self) -> datetime:
        """Give the recorded present."""
        found: datetime = self._recorded(super().now)
        return found

    def _recorded(self, fn: Callable[[], Any]) -> Any:
        self._read += 1
        if self._read <= len(self._journal):
            return self._journal[self._read - 1]
        answer = fn()
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Killed
        self._journal.append(answer)
        return answer


def _plain(values: Iterable[Any]) -> list[Any]:
    return [value.item() if hasattr(value, "item") else value for value in values]
