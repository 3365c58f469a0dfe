"""What model servers are told to serve, and what they report back."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from noria.serving.entities import Weight
from noria.serving.repairs.entities import ColumnRepair


class PlannedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that model servers are to have loaded."""

    version: int
    digest: str
    weight: Weight


class PlannedShadow(msgspec.Struct, frozen=True, kw_only=True):
    """A version that predicts what another one answers, for nobody but the captures.

    Attributes
    ----------
    share
        Of the answered requests that it is asked about as well.
    """

    version: int
    digest: str
    share: Weight = 1.0


class PlannedCascade(msgspec.Struct, frozen=True, kw_only=True):
    """Two versions that answer in turn: the second is asked when the first is not sure.

    Attributes
    ----------
    first, second
        Versions of the plan's `versions`.
    min_confidence
        At which the first one's answer is given.
    """

    first: int
    second: int
    min_confidence: float


class PlannedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is good for an endpoint.

    Attributes
    ----------
    hash
        Of its secret.
    rate_per_s, burst
        As those of `NewKey`.
    """

    id: str
    hash: str
    rate_per_s: float | None = None
    burst: int | None = None


class EndpointPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What model servers are to do for one endpoint.

    Attributes
    ----------
    guarded
        Whether a request has to carry one of the `keys`.
    capture_share
        Share of answered requests that is captured.
    shadows
        Versions that are asked too, once the answer is given. They need not be among the `versions`.
    cascade
        How the versions answer in turn; None when their weights alone choose.
    repair
        How inputs are put right before a version sees them; empty when they are taken as they are sent.
    """

    project: str
    endpoint: str
    model: str
    revision: int
    versions: list[PlannedVersion]
    guarded: bool = False
    keys: list[PlannedKey] = []
    capture_share: float = 1.0
    shadows: list[PlannedShadow] = []
    cascade: PlannedCascade | None = None
    repair: list[ColumnRepair] = []


class PlanSet(msgspec.Struct, frozen=True, kw_only=True):
    """All plans of a workspace.

    Attributes
    ----------
    etag
        Changes with every change of a plan; equal etags mean equal plans.
    plans
        None when the asker knows them already.
    """

    etag: str
    plans: list[EndpointPlan] | None = None


class AppliedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a model server made of a plan.

    Attributes
    ----------
    revision
        The newest revision that it follows.
    failed
        Version (as text) → why it could not be loaded.
    """

    project: str
    endpoint: str
    revision: int
    failed: dict[str, str] = {}


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a process logged.

    Attributes
    ----------
    level
        `warning` or `error`; what is worse than an error is one.
    text
        The event with its facts, cut off where it is long, without what looks like a secret.
    """

    at: datetime
    level: Literal["warning", "error"]
    text: str


class ServerStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How a model server is.

    Attributes
    ----------
    n_workers
        Processes that answer.
    n_replaced
        Those that died, hung or grew too large, since the server started.
    waiting_bytes
        On its disk, not yet handed on.
    disk_full
        Whether there is no room now for what it answers.
    memory_bytes
        Resident memory of all its processes together; 0 from one that does not say.
    cpu_s
        Processor time of all its processes since it started.
    n_processors
        How many processors it kept busy since the report before, on average.
    n_log_warnings, n_log_errors
        Lines of these levels that its processes logged since it started, those that have ended too.
    log_line
        The newest of them.
    """

    n_workers: int = 0
    n_replaced: int = 0
    waiting_bytes: int = 0
    disk_full: bool = False
    memory_bytes: int = 0
    cpu_s: float = 0.0
    n_processors: float = 0.0
    n_log_warnings: int = 0
    n_log_errors: int = 0
    log_line: LogLine | None = None


class ServerReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sign of life of a model server.

    Attributes
    ----------
    url
        Where it answers; None when it is not to be found by others.
    leaving
        True when it ends.
    n_dropped
        Predictions that it could not keep since it started, for want of space.
    """

    server: str
    url: str | None
    endpoints: list[AppliedPlan]
    n_dropped: int = 0
    leaving: bool = False
    standing: ServerStanding | None = None


class ModelServer(msgspec.Struct, frozen=True, kw_only=True):
    """A model server as it last reported."""

    server: str
    url: str | None
    seen_at: datetime
    endpoints: list[AppliedPlan]
    n_dropped: int
    standing: ServerStanding | None = None


class ModelServerList(msgspec.Struct, frozen=True, kw_only=True):
    """Model servers that reported lately."""

    items: list[ModelServer]
