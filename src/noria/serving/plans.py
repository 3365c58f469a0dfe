"""What model servers are told to serve, and what they report back."""

from __future__ import annotations

from datetime import datetime

import msgspec

from noria.serving.entities import Weight


class PlannedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that model servers are to have loaded."""

    version: int
    digest: str
    weight: Weight


class EndpointPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What model servers are to do for one endpoint."""

    project: str
    endpoint: str
    model: str
    revision: int
    versions: list[PlannedVersion]


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


class ModelServer(msgspec.Struct, frozen=True, kw_only=True):
    """A model server as it last reported."""

    server: str
    url: str | None
    seen_at: datetime
    endpoints: list[AppliedPlan]
    n_dropped: int


class ModelServerList(msgspec.Struct, frozen=True, kw_only=True):
    """Model servers that reported lately."""

    items: list[ModelServer]
