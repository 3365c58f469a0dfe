"""Endpoints, predictions, labels and rollouts, and the pure rules on them."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from noria.core.config import Section
from noria.core.errors import Invalid

Weight = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
"""A share of the requests, 0 to 1."""

WEIGHT_TOLERANCE = 1e-9


class Strategy(enum.StrEnum):
    """How a version takes the place of another.

    `replace` at once; `canary` by growing shares of the requests, each of which has to pass the gates.
    """

    REPLACE = "replace"
    CANARY = "canary"


class RolloutStatus(enum.StrEnum):
    """How far a rollout has come. `MOVES` lists the allowed moves."""

    RUNNING = "running"
    PAUSED = "paused"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"

    def is_finished(self) -> bool:
        """Tell whether nothing will happen any more."""
        return not MOVES[self]


MOVES: Mapping[RolloutStatus, frozenset[RolloutStatus]] = {
    RolloutStatus.RUNNING: frozenset(
        {RolloutStatus.PAUSED, RolloutStatus.PROMOTED, RolloutStatus.ROLLED_BACK, RolloutStatus.FAILED}
    ),
    RolloutStatus.PAUSED: frozenset(
        {RolloutStatus.RUNNING, RolloutStatus.PROMOTED, RolloutStatus.ROLLED_BACK, RolloutStatus.FAILED}
    ),
    RolloutStatus.PROMOTED: frozenset(),
    RolloutStatus.ROLLED_BACK: frozenset(),
    RolloutStatus.FAILED: frozenset(),
}
"""Status → the statuses that may follow it."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A version behind an endpoint and the share of requests that it answers.

    A version of weight 0 is loaded and can be asked for by number, but gets no requests.
    """

    version: int
    weight: Weight


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A stable name in front of versions of one model.

    Attributes
    ----------
    task
        `classification` or `regression`: how labels are compared with predictions.
    revision
        Counts the changes of `shares`, from 1. Captured predictions carry the revision that they were answered under.
    rollout_id
        The rollout under way, if there is one.
    urls
        Addresses of the model servers that answered for it lately.
    """

    id: str
    project: str
    name: str
    model: str
    task: str
    shares: list[Share]
    revision: int
    rollout_id: str | None = None
    urls: list[str] = []
    created_at: datetime

    @property
    def version(self) -> int:
        """The version that answers most requests; of equals, the older one."""
        return min(self.shares, key=lambda share: (-share.weight, share.version)).version


class EndpointPage(msgspec.Struct, frozen=True, kw_only=True):
    """Endpoints in the order of their names."""

    items: list[Endpoint]
    next: str | None = None


class ErrorGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of requests that fail may not grow by more than `max_increase` (0 to 1)."""

    max_increase: Weight = 0.02


class LatencyGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mean latency may not grow beyond `max_ratio` times the old version's.

    A mean below `ignore_below_ms` passes whatever the ratio: nobody waits for it.
    """

    max_ratio: Annotated[float, msgspec.Meta(ge=1.0)] = 2.0
    ignore_below_ms: Annotated[float, msgspec.Meta(ge=0.0)] = 50.0


class QualityGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The labelled quality may not be worse by more than a margin.

    Attributes
    ----------
    max_loss
        For classification, the loss of accuracy that is tolerated (0 to 1); for regression, the tolerated relative
        growth of the mean absolute error.
    min_labels
        The gate judges once both versions have this many labelled rows.
    required
        True: wait for the labels. False: pass while there are fewer than `min_labels`.
    """

    max_loss: Weight = 0.03
    min_labels: Annotated[int, msgspec.Meta(ge=1)] = 30
    required: bool = False


class Gates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step of a rollout has to pass; None leaves a gate out.

    Attributes
    ----------
    confidence
        A gate passes when the bound of a one-sided interval at this confidence is within the limit.
    abort_confidence
        A gate fails when the opposite bound at this confidence is beyond the limit. Higher than `confidence`, since
        the figures are looked at many times.
    """

    errors: ErrorGate | None = ErrorGate()
    latency: LatencyGate | None = LatencyGate()
    quality: QualityGate | None = QualityGate()
    confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1.0)] = 0.95
    abort_confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1.0)] = 0.999


class Verdict(enum.StrEnum):
    """What a gate says: go on, go back, or not known yet."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    WAIT = "wait"


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate says about one step, with the figures that it was said from."""

    gate: str
    verdict: Verdict
    sentence: str
    figures: dict[str, float | int | None] = {}


class RolloutStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A share of the requests for the new version, and how long and on how many requests it is watched.

    Attributes
    ----------
    weight
        Above 0, up to 1.
    bake_s
        Seconds that the step lasts at least, counted from when the model servers follow it.
    min_requests
        Requests that the new version must have answered in this step.
    """

    weight: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]
    bake_s: Annotated[float, msgspec.Meta(ge=0.0, le=31_536_000.0)] = 60.0
    min_requests: Annotated[int, msgspec.Meta(ge=0)] = 100


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a step of a rollout ended.

    Attributes
    ----------
    step
        Index in the rollout's steps; -1 is the loading of the new version.
    verdict
        `wait` when the rollout was ended by hand or while the step was undecided.
    """

    step: int
    weight: float
    started_at: datetime | None
    ended_at: datetime
    verdict: Verdict
    n_requests: int
    results: list[GateResult]


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """The passage of an endpoint from one version to another.

    Attributes
    ----------
    from_version
        None when the endpoint was made by this deployment.
    step
        Index in `steps`; -1 while the model servers load the new version.
    step_started_at
        When all model servers followed the step; None before that.
    patience_s
        A step that is undecided for this long after its bake time is rolled back; None waits.
    reason
        Why it ended, or why it was paused.
    alias
        Alias that is moved to the new version when the rollout is promoted.
    revision
        Counts the changes of this record.
    """

    id: str
    project: str
    endpoint: str
    model: str
    strategy: Strategy
    from_version: int | None
    to_version: int
    steps: list[RolloutStep]
    step: int
    status: RolloutStatus
    gates: Gates
    patience_s: float | None = None
    history: list[StepResult] = []
    reason: str | None = None
    decision_id: str | None = None
    alias: str | None = None
    started_by: str
    created_at: datetime
    step_started_at: datetime | None = None
    ended_at: datetime | None = None
    revision: int


class RolloutPage(msgspec.Struct, frozen=True, kw_only=True):
    """Rollouts, newest first."""

    items: list[Rollout]
    next: str | None = None


class RolloutCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How the present step of a rollout stands.

    Attributes
    ----------
    waits_for
        What the step still lacks, one sentence each; empty when it is about to end.
    n_requests
        Requests that the new version answered in this step.
    """

    rollout_id: str
    status: RolloutStatus
    step: int
    weight: float
    n_requests: int
    results: list[GateResult]
    waits_for: list[str]


class Deployment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The wish to put a model version behind an endpoint.

    Attributes
    ----------
    version
        Number, or alias as text (`champion`).
    steps, gates, patience_s
        From `[rollouts]` in `noria.toml` when left out.
    decision_id
        The decision that asks for it. Asking again with the same id gives the rollout that it already started.
    alias
        Alias that moves to the version when it is promoted.
    """

    model: str
    version: int | str
    strategy: Strategy = Strategy.REPLACE
    steps: list[RolloutStep] | None = None
    gates: Gates | None = None
    patience_s: float | None = None
    decision_id: str | None = None
    alias: str | None = None
    reason: str | None = None


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a person does what they do to a rollout."""

    reason: str | None = None


class RolloutSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[rollouts]`: what a canary does unless its deployment says otherwise.

    Attributes
    ----------
    weights
        Share of the new version at each step.
    bake_s, min_requests
        Of every step.
    patience_s
        Seconds for which a step may stay undecided before it is rolled back; without it, it waits.
    gates
        Table `[rollouts.gates]`.
    """

    weights: list[float] = msgspec.field(default_factory=lambda: [0.1, 0.5])
    bake_s: float = 60.0
    min_requests: int = 100
    patience_s: float | None = None
    gates: Gates = Gates()

    def steps(self) -> list[RolloutStep]:
        """Give the steps that these settings describe."""
        return [
            RolloutStep(weight=weight, bake_s=self.bake_s, min_requests=self.min_requests)
            for weight in self.weights
        ]


def check_steps(steps: Sequence[RolloutStep]) -> None:
    """Refuse steps that do not lead anywhere.

    Raises
    ------
    Invalid
        If there is none, a weight is not above the one before it or is above 1, or a bake time is not a time.
    """
    if not steps:
        raise Invalid("A canary needs at least one step", hint="Give `steps`, or strategy `replace`")
    previous = 0.0
    for index, step in enumerate(steps):
        if not 0 <= step.bake_s < float("inf") or step.min_requests < 0:
            raise Invalid(
                f"Step {index + 1} cannot last {step.bake_s:g} s or need {step.min_requests} requests"
            )
        if not previous < step.weight <= 1:
            raise Invalid(
                f"Step {index + 1} has the weight {step.weight:g}, which is not above {previous:g} and at most 1",
                hint="Weights of a canary grow from step to step, from above 0 to at most 1",
            )
        previous = step.weight


def shares_at(rollout: Rollout, step: int) -> list[Share]:
    """Give the shares of a canary's step; before the first one the new version is loaded and gets nothing."""
    weight = rollout.steps[step].weight if step >= 0 else 0.0
    if rollout.from_version is None:
        return [Share(version=rollout.to_version, weight=1.0)]
    return [
        Share(version=rollout.from_version, weight=round(1.0 - weight, 12)),
        Share(version=rollout.to_version, weight=weight),
    ]
