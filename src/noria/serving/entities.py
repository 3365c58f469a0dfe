"""Endpoints, predictions, labels and rollouts, and the pure rules on them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec

from noria.core.permissions import Role
from noria.serving.gate_rules import GateResult, Gates, Verdict

Weight = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
"""A share of the requests, 0 to 1."""

NotNegative = Annotated[float, msgspec.Meta(ge=0.0, le=31_536_000.0)]
"""Seconds, up to a year."""


class Strategy(enum.StrEnum):
    """How a version takes the place of another.

    `replace` at once. `canary` by growing shares of the requests, each of which has to pass the gates. `blue-green`:
    both predict the same requests, which the old version answers, until all are switched over at once.
    `shadow`: the same, but nothing is switched unless that was asked for. `ab`: both answer shares that stay as they
    are, until one is shown to be better or the time is over.
    """

    REPLACE = "replace"
    CANARY = "canary"
    BLUE_GREEN = "blue-green"
    SHADOW = "shadow"
    AB = "ab"

    @property
    def is_mirrored(self) -> bool:
        """Whether the new version first predicts what the old one answers."""
        return self in (Strategy.BLUE_GREEN, Strategy.SHADOW)


class RolloutStatus(enum.StrEnum):
    """How far a rollout has come. `MOVES` lists the allowed moves.

    `compared` is the end of a shadow that nobody asked to promote: the old version answers as it did before.
    """

    RUNNING = "running"
    PAUSED = "paused"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    COMPARED = "compared"
    FAILED = "failed"

    def is_finished(self) -> bool:
        """Tell whether nothing will happen any more."""
        return not MOVES[self]


_ENDS = frozenset(
    {RolloutStatus.PROMOTED, RolloutStatus.ROLLED_BACK, RolloutStatus.COMPARED, RolloutStatus.FAILED}
)

MOVES: Mapping[RolloutStatus, frozenset[RolloutStatus]] = {
    RolloutStatus.RUNNING: _ENDS | {RolloutStatus.PAUSED},
    RolloutStatus.PAUSED: _ENDS | {RolloutStatus.RUNNING},
    **dict.fromkeys(_ENDS, frozenset[RolloutStatus]()),
}
"""Status → the statuses that may follow it."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A version behind an endpoint and the share of requests that it answers.

    A version of weight 0 is loaded and can be asked for by number, but gets no requests.
    """

    version: int
    weight: Weight


class WarmVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that answered before and stays loaded, so that going back to it takes no loading.

    Attributes
    ----------
    until
        When it is let go of.
    """

    version: int
    until: datetime


class Cascade(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two versions that answer in turn: a small one where it is sure, a big one elsewhere.

    Attributes
    ----------
    first
        Asked first; its answer is given where its confidence reaches `min_confidence`.
    second
        Answers the rest.
    """

    first: int
    second: int
    min_confidence: Weight


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A stable name in front of versions of one model.

    Attributes
    ----------
    task
        `classification` or `regression`: how labels are compared with predictions.
    revision
        Counts the changes of what is served, from 1. Captured predictions carry the revision that they were answered
        under.
    shadows
        Versions that predict a share of the requests for the captures alone.
    warm
        The version before, while it stays loaded.
    cascade
        How two versions answer in turn, if they do.
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
    shadows: list[Share] = []
    warm: list[WarmVersion] = []
    cascade: Cascade | None = None
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


class RolloutStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A share of the requests for the new version, and how long and on how many requests it is watched.

    Attributes
    ----------
    weight
        Above 0, up to 1. While the new version only predicts along, the share of the requests that it sees.
    bake_s
        Seconds that the step lasts at least, counted from when the model servers follow it.
    min_requests
        Requests that the new version must have answered, or predicted along, in this step.
    """

    weight: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]
    bake_s: Annotated[float, msgspec.Meta(ge=0.0, le=31_536_000.0)] = 60.0
    min_requests: Annotated[int, msgspec.Meta(ge=0)] = 100


class VersionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How a version fared in one step; None where there is nothing to tell it from."""

    version: int
    n_requests: int
    n_errors: int
    mean_latency_ms: float | None = None
    p95_latency_ms: float | None = None
    p99_latency_ms: float | None = None
    n_labelled: int = 0
    accuracy: float | None = None
    mean_absolute_error: float | None = None


class PairFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What two versions predicted on the same rows.

    Attributes
    ----------
    n, n_agreed
        Rows that both were asked about, and those on which they said the same.
    n_only_new_right, n_only_old_right
        Labelled rows on which one of them alone was right, of a classifier.
    """

    n: int
    n_agreed: int
    n_only_new_right: int = 0
    n_only_old_right: int = 0


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a step of a rollout ended.

    Attributes
    ----------
    step
        Index in the rollout's steps; -1 is the loading of the new version.
    verdict
        `wait` when the rollout was ended by hand or while the step was undecided.
    n_requests
        Of the new version.
    mirrored
        Share of the requests that the new version predicted along.
    new, old
        How both versions fared while it lasted; what arrives later is not in it.
    pairs
        The rows that both predicted since the rollout began; None where the new version did not predict along.
    """

    step: int
    weight: float
    started_at: datetime | None
    ended_at: datetime
    verdict: Verdict
    n_requests: int
    results: list[GateResult]
    mirrored: float = 0.0
    new: VersionFigures | None = None
    old: VersionFigures | None = None
    pairs: PairFigures | None = None


class ApprovalPoint(enum.StrEnum):
    """What waits for approvals: the rollout as a whole, or the move that gives the new version every request."""

    START = "start"
    SWITCH = "switch"


class Approvals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many others have to agree to a rollout.

    Attributes
    ----------
    n
        Persons. Whoever began the rollout is none of them.
    role
        That each of them has in the project, or a higher one.
    before
        What waits for them.
    """

    n: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    role: Role = Role.ENGINEER
    before: ApprovalPoint = ApprovalPoint.SWITCH


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One person's agreement."""

    by: str
    at: datetime
    reason: str | None = None


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
    baked_s
        Seconds for which the step was watched until `looked_at`. Clocks jump, so only what passes between two looks
        counts, and at most a minute of that.
    patience_s
        A step that is undecided for this long after its bake time is rolled back; None waits.
    promotes
        False for a shadow that ends with its comparison.
    approvals, approved
        Who has to agree, and who did.
    keep_warm_s
        For how long the version before stays loaded after the promotion.
    is_rollback
        Whether it leads back to a version that answered before.
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
    promotes: bool = True
    approvals: Approvals | None = None
    approved: list[Approval] = []
    keep_warm_s: float = 0.0
    is_rollback: bool = False
    history: list[StepResult] = []
    reason: str | None = None
    decision_id: str | None = None
    alias: str | None = None
    started_by: str
    created_at: datetime
    step_started_at: datetime | None = None
    baked_s: float = 0.0
    looked_at: datetime | None = None
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
    weight, mirrored
        Shares of the requests that the new version answers, and predicts along.
    n_requests
        Requests that the new version answered, or predicted along, in this step.
    pairs
        As that of `StepResult`.
    """

    rollout_id: str
    status: RolloutStatus
    step: int
    weight: float
    mirrored: float = 0.0
    n_requests: int
    pairs: PairFigures | None = None
    results: list[GateResult]
    waits_for: list[str]


class Deployment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The wish to put a model version behind an endpoint.

    Attributes
    ----------
    version
        Number, or alias as text (`champion`).
    steps, gates, patience_s, keep_warm_s
        From `[rollouts]` in `noria.toml` when left out.
    promote
        Whether it may take the place of the old version by itself; left out, all but a shadow may.
    approvals
        Who has to agree. Where `[rollouts]` asks for more, that holds.
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
    patience_s: NotNegative | None = None
    promote: bool | None = None
    approvals: Approvals | None = None
    keep_warm_s: NotNegative | None = None
    decision_id: str | None = None
    alias: str | None = None
    reason: str | None = None


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a person does what they do to a rollout."""

    reason: str | None = None
