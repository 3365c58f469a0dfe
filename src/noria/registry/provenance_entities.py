"""The whole story of a thing: what it came from, what came of it, and how the runs on the way were made."""

from __future__ import annotations

from datetime import datetime

import msgspec

from noria.tracking.entities import RunSource, RunStatus
from noria.tracking.lineage_entities import LineageGraph


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run can be made again from.

    Attributes
    ----------
    pipeline
        `module:name`; None for a run outside of pipelines.
    snapshot
        Digest of the project's code.
    environment
        Digest of the list of Python and distributions.
    source
        Commit, command line, Python, host.
    """

    id: str
    name: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None = None
    author: str = ""
    pipeline: str | None = None
    params: dict[str, str] = {}
    snapshot: str | None = None
    environment: str | None = None
    source: RunSource | None = None


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """What a thing came from and what came of it.

    Attributes
    ----------
    root
        The thing, with an alias or a moving name resolved: `model:digits@champion` → `model:digits@3`.
    upstream, downstream
        Edges lead from cause to effect in both. Beside `read`, `made` and `started` there is `served` (model version
        → endpoint). A step of a run is `step:<run id>/<position>`.
    runs
        By reference, of the hundred runs that are nearest.
    """

    root: str
    upstream: LineageGraph
    downstream: LineageGraph
    runs: dict[str, RunFacts]
