"""Checks, reports, gates and approvals."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

import msgspec

from noria.core.config import Section
from noria.core.permissions import Role


class Outcome(enum.StrEnum):
    """How a check ended.

    `broken`: the model raised, hung, died or took too much memory. `unmeasured`: the check was not reached, or failed
    by itself. `not_applicable`: the version has nothing that it could be done with.
    """

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    UNMEASURED = "unmeasured"
    NOT_APPLICABLE = "not_applicable"
    LEFT_OUT = "left_out"

    @property
    def is_bad(self) -> bool:
        """Whether a version with such a check is not fit for release."""
        return self in (Outcome.FAILED, Outcome.BROKEN, Outcome.UNMEASURED)


class Limits(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[validation.limits]`: the largest value of each check that passes.

    Attributes
    ----------
    golden
        Share of the golden batch's rows answered otherwise than at registration.
    outputs
        Share of sample rows without a valid answer: finite, of a known class, with probabilities that sum to 1.
    wrong_types, wrong_types_model
        Share of malformed requests that the signature lets through, and that the model itself answers.
    extremes, missing, unseen, scale, constant
        Share of rows of that kind without a valid answer.
    permuted, duplicated, columns, one_row, many_rows
        Share of rows answered otherwise when they come in another order, twice, with their columns in another order,
        alone, or among many.
    determinism, restart
        Share of rows answered otherwise the second time, and by another process.
    scale_answers
        Share of answers that change when the column that matters most is given in a unit a thousand times smaller.
    nudges
        Share of rows whose answer some small change of the inputs turns.
    slices
        By how much the score of some slice is surely below that of the other rows.
    latency_one_ms, latency_many_ms
        Median time for one row and for a thousand.
    memory_mb, memory_growth_mb
        Largest resident memory of the model's process, and by how much it grows over hundreds of calls.
    onnx_error, onnx_flips
        Largest relative error of the ONNX form of the model, and share of labels that differ.
    """

    golden: float | None = 0.0
    outputs: float | None = 0.0
    wrong_types: float | None = 0.0
    wrong_types_model: float | None = 0.0
    extremes: float | None = 0.0
    missing: float | None = 0.0
    unseen: float | None = 0.0
    scale: float | None = 0.0
    constant: float | None = 0.0
    permuted: float | None = 0.0
    duplicated: float | None = 0.0
    columns: float | None = 0.0
    one_row: float | None = 0.0
    many_rows: float | None = 0.0
    determinism: float | None = 0.0
    restart: float | None = 0.0
    scale_answers: float | None = None
    nudges: float | None = 0.2
    slices: float | None = 0.1
    latency_one_ms: float | None = 1_000.0
    latency_many_ms: float | None = 30_000.0
    memory_mb: float | None = 4_096.0
    memory_growth_mb: float | None = 64.0
    onnx_error: float | None = 1e-5
    onnx_flips: float | None = 0.0


class Gate(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[validation.gates.ALIAS]`: what a version must have before an alias may point at it.

    Attributes
    ----------
    validated
        A report whose checks keep the limits of this file.
    suites
        Own suites, by the name of their file, that must be in the report.
    approvals
        How many people must approve, by the least role that they hold: `{ engineer = 1, admin = 1 }`. Each counts for
        one role, and who registered the version does not count.
    signed_package
        A signed package of the version.
    complete_lock
        A package whose lock is complete.
    projects, models
        Only there; everywhere when left out.
    """

    validated: bool = True
    suites: list[str] = msgspec.field(default_factory=list)
    approvals: dict[Role, int] = msgspec.field(default_factory=dict)
    signed_package: bool = False
    complete_lock: bool = False
    projects: list[str] | None = None
    models: list[str] | None = None

    def stands_before(self, project: str, model: str) -> bool:
        """Tell whether it is asked of this model."""
        return (self.projects is None or project in self.projects) and (
            self.models is None or model in self.models
        )


class ValidationSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[validation]`: how versions are tried before release, and which aliases ask for it.

    Attributes
    ----------
    rows
        Rows of the training sample that checks are made from.
    tolerance
        Largest relative difference of two numbers or probabilities that are the same answer.
    nudge
        Size of a nudge, in standard deviations of each column.
    call_timeout_s
        A call that takes longer counts as hanging, and its process is ended.
    timeout_s
        Checks that are not begun by then are not made.
    skip
        Checks to leave out, by name.
    suites
        Own suites to run besides those that a command names, by path below the project's root.
    limits
        Largest value of each check that passes.
    gates
        What each alias asks for, by its name.
    """

    rows: int = 300
    tolerance: float = 1e-5
    nudge: float = 0.01
    call_timeout_s: float = 30.0
    timeout_s: float = 600.0
    skip: list[str] = msgspec.field(default_factory=list)
    suites: list[str] = msgspec.field(default_factory=list)
    limits: Limits = Limits()
    gates: dict[str, Gate] = msgspec.field(default_factory=dict)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found.

    Attributes
    ----------
    name, family
        As `[validation.limits]` names it, or `FILE.py:function` of an own suite.
    value, limit
        Measured, and the largest that passes; None where nothing was measured, or nothing is asked.
    words, values
        A sentence with its figures apart, so that it can be told in any language.
    details
        The worst cases: what was tried, and what came of it.
    seconds
        That the check took.
    """

    name: str
    family: str
    outcome: Outcome
    value: float | None = None
    limit: float | None = None
    words: str = ""
    values: dict[str, str | int | float] = {}
    details: list[tuple[str, str]] = []
    seconds: float = 0.0

    @property
    def sentence(self) -> str:
        """What was found, in English."""
        return self.words % self.values if self.values else self.words


class OwnSuite(msgspec.Struct, frozen=True, kw_only=True):
    """A suite of the project that ran: the name of its file, and the digest of its text."""

    name: str
    digest: str


class NewReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a validation found, to be kept with a version.

    Attributes
    ----------
    digest
        Of the files that were tried.
    engine
        What computed the predictions.
    made_up
        Whether rows were made up from the signature, because no sample of training rows is kept.
    n_rows
        Sample rows that checks were made from.
    """

    digest: str
    engine: str
    made_up: bool
    n_rows: int
    checks: list[Check]
    suites: list[OwnSuite] = []
    seconds: float = 0.0
    made_with: dict[str, str] = {}


class Report(NewReport, frozen=True, kw_only=True):
    """A kept report.

    Attributes
    ----------
    counts
        Whether gates take it: it was made by a worker, or by somebody who may move aliases.
    """

    id: str
    project: str
    model: str
    version: int
    outcome: Outcome
    author: str
    counts: bool
    created_at: datetime

    @property
    def ref(self) -> str:
        """`model@version`."""
        return f"{self.model}@{self.version}"


class ReportList(msgspec.Struct, frozen=True, kw_only=True):
    """Reports of a version, newest first."""

    items: list[Report]


class NewApproval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody's word that a version may be released under an alias."""

    alias: str
    note: str = ""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """An approval that stands.

    Attributes
    ----------
    role
        That the approver held then.
    report_id
        The newest report then.
    """

    alias: str
    given_by: str
    role: Role
    note: str
    report_id: str | None
    given_at: datetime


class GateState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an alias may point at a version.

    Attributes
    ----------
    asks_approvals
        Whether somebody must approve.
    lacks
        What is missing, as sentences with their figures apart.
    """

    alias: str
    is_open: bool
    asks_approvals: bool
    lacks: list[Lack]
    approvals: list[Approval]


class Lack(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps a gate shut, and the command that mends it."""

    words: str
    values: dict[str, str | int | float] = {}
    mend: str = ""

    @property
    def sentence(self) -> str:
        """In English."""
        return self.words % self.values if self.values else self.words


class GateStates(msgspec.Struct, frozen=True, kw_only=True):
    """The gates before the aliases of a model, for one version of it."""

    items: list[GateState]


class ValidationStart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A validation to be made by a worker.

    Attributes
    ----------
    suites
        Paths below the root of the snapshot.
    snapshot
        Digest of the project's code, which own suites are in.
    """

    suites: list[str] = []
    snapshot: str | None = None


def to_args(section: ValidationSection) -> dict[str, Any]:
    """Give the settings of a job as JSON; gates are not its business."""
    return msgspec.to_builtins(msgspec.structs.replace(section, gates={}))  # type: ignore[no-any-return]
