"""Settings of the sender, and what it tells of one run or step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import msgspec

from noria.core.config import Section


class OpenLineageSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[openlineage]`: the collector that is told of runs; none unless `url` is given.

    Attributes
    ----------
    url
        Where events are posted, in full: `http://marquez:5000/api/v1/lineage`.
    namespace
        Beginning of the namespace of jobs and data sets; the project's name follows behind a point.
    token_env
        Environment variable that holds the key which the collector asks for, if it asks for one.
    steps
        Whether each step of a pipeline is told of as a job of its own, inside that of the pipeline.
    timeout_s
        Most seconds for one event.
    """

    url: str | None = None
    namespace: str = "noria"
    token_env: str = "OPENLINEAGE_API_KEY"  # noqa: S105 - the name of a variable
    steps: bool = True
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something that was read or made.

    Attributes
    ----------
    kind
        `DATASET`, `MODEL`, `JOB_OUTPUT` (a step's output) or `FILE`.
    version
        Number or digest; empty when there is none.
    """

    name: str
    kind: str
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The run around a run or step."""

    run_id: str
    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One transition of a run or step.

    Attributes
    ----------
    state
        `START`, `RUNNING`, `COMPLETE`, `FAIL`, `ABORT` or `OTHER`.
    run_id
        A UUID.
    job
        Name of the job within the project.
    job_type
        `PIPELINE`, `STEP` or `RUN`.
    error
        Message, of a run that failed.
    """

    state: str
    at: datetime
    project: str
    run_id: str
    job: str
    job_type: str
    parent: Parent | None = None
    inputs: tuple[Thing, ...] = ()
    outputs: tuple[Thing, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    code: str | None = None
    environment: str | None = None
    author: str = ""
