"""Causes, remedies, decisions, and the pure rules on them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from noria.core.config import Section
from noria.decisions.pipeline_entities import PipelinePin
from noria.serving.entities import Strategy
from noria.serving.repairs.entities import ColumnRepair

Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Share = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]


class Cause(enum.StrEnum):
    """Why a model that worked no longer does."""

    NONE = "none"
    INPUT_FAULT = "input_fault"
    INPUT_CHANGE = "input_change"
    PIPELINE_FAULT = "pipeline_fault"
    MODEL_REGRESSION = "model_regression"
    COVARIATE_DRIFT = "covariate_drift"
    LABEL_DRIFT = "label_drift"
    CONCEPT_DRIFT = "concept_drift"
    NEW_CLASS = "new_class"
    UNKNOWN = "unknown"


class Remedy(enum.StrEnum):
    """What can be done about it."""

    WAIT = "wait"
    REPAIR_INPUTS = "repair_inputs"
    FIX_PIPELINE = "fix_pipeline"
    ROLL_BACK_MODEL = "roll_back_model"
    RECALIBRATE = "recalibrate"
    RETRAIN = "retrain"
    NEW_MODEL = "new_model"
    ASK = "ask"


class Scheme(enum.StrEnum):
    """What teaches: all rows, those since the onset alone, or as many old ones as there are new ones.

    `WARM` fits nothing anew: the present model is trained on by the rows since the onset.
    """

    ALL = "all"
    RECENT = "recent"
    WEIGHTED = "weighted"
    WARM = "warm"


FITTED = (Scheme.ALL, Scheme.RECENT, Scheme.WEIGHTED)
"""Schemes that fit a model anew."""


SCHEME_WORDS = {
    Scheme.ALL: "on all rows, old and new",
    Scheme.RECENT: "on rows since the onset alone",
    Scheme.WEIGHTED: "on rows since the onset and as many old ones",
    Scheme.WARM: "on from where the present version stands, by rows since the onset",
}


ADMISSIBLE: Mapping[Cause, frozenset[Remedy]] = {
    Cause.NONE: frozenset({Remedy.WAIT}),
    Cause.INPUT_FAULT: frozenset({Remedy.WAIT, Remedy.REPAIR_INPUTS, Remedy.ASK}),
    # A change by design is answered by new features and a new contract first; only then by a fit.
    Cause.INPUT_CHANGE: frozenset({Remedy.WAIT, Remedy.FIX_PIPELINE, Remedy.ASK}),
    Cause.PIPELINE_FAULT: frozenset({Remedy.WAIT, Remedy.FIX_PIPELINE, Remedy.ROLL_BACK_MODEL, Remedy.ASK}),
    Cause.MODEL_REGRESSION: frozenset({Remedy.WAIT, Remedy.ROLL_BACK_MODEL, Remedy.ASK}),
    Cause.COVARIATE_DRIFT: frozenset(
        {
            Remedy.WAIT,
            Remedy.ROLL_BACK_MODEL,
            Remedy.RECALIBRATE,
            Remedy.RETRAIN,
            Remedy.NEW_MODEL,
            Remedy.ASK,
        }
    ),
    Cause.LABEL_DRIFT: frozenset(
        {Remedy.WAIT, Remedy.ROLL_BACK_MODEL, Remedy.RECALIBRATE, Remedy.RETRAIN, Remedy.ASK}
    ),
    Cause.CONCEPT_DRIFT: frozenset(
        {
            Remedy.WAIT,
            Remedy.ROLL_BACK_MODEL,
            Remedy.RECALIBRATE,
            Remedy.RETRAIN,
            Remedy.NEW_MODEL,
            Remedy.ASK,
        }
    ),
    Cause.NEW_CLASS: frozenset(
        {Remedy.WAIT, Remedy.ROLL_BACK_MODEL, Remedy.RETRAIN, Remedy.NEW_MODEL, Remedy.ASK}
    ),
    Cause.UNKNOWN: frozenset({Remedy.WAIT, Remedy.ROLL_BACK_MODEL, Remedy.ASK}),
}
"""Cause → remedies that may be tried. Nothing learns from inputs that are broken, or whose meaning changed."""

LEARNS_FROM_LIVE_ROWS = frozenset({Remedy.RECALIBRATE, Remedy.RETRAIN, Remedy.NEW_MODEL})
"""Never admissible while live rows break their contract, whatever the causes' probabilities."""

IDLE = frozenset({Remedy.WAIT, Remedy.ASK})
"""What changes nothing, and gains nothing by itself."""

OWN = (Remedy.RECALIBRATE, Remedy.NEW_MODEL)
"""Remedies whose version is made without the pipeline of the present one."""

LEAST_PROBABILITY = 0.1
"""A cause less probable than this adds no remedies."""


def admissible(causes: Mapping[Cause, float], *, contract_broken: bool) -> frozenset[Remedy]:
    """Give the remedies that the probable causes allow; waiting and asking are always among them."""
    probable = [cause for cause, probability in causes.items() if probability >= LEAST_PROBABILITY]
    allowed = frozenset[Remedy]().union(*(ADMISSIBLE[cause] for cause in probable))
    kept = allowed - LEARNS_FROM_LIVE_ROWS if contract_broken else allowed
    return kept | {Remedy.WAIT, Remedy.ASK}


class Policy(enum.StrEnum):
    """What Noria may do about a remedy by itself."""

    AUTOMATIC = "automatic"
    ASK = "ask"
    FORBID = "forbid"


_AUTOMATIC = (Remedy.WAIT, Remedy.ROLL_BACK_MODEL, Remedy.RECALIBRATE, Remedy.RETRAIN)
DEFAULT_POLICY: Mapping[Remedy, Policy] = {
    remedy: Policy.AUTOMATIC if remedy in _AUTOMATIC else Policy.ASK for remedy in Remedy
}

DEFAULT_COST: Mapping[Remedy, float] = {
    Remedy.WAIT: 0.0,
    Remedy.REPAIR_INPUTS: 200.0,
    Remedy.FIX_PIPELINE: 200.0,
    Remedy.ROLL_BACK_MODEL: 20.0,
    Remedy.RECALIBRATE: 20.0,
    Remedy.RETRAIN: 100.0,
    Remedy.NEW_MODEL: 500.0,
    Remedy.ASK: 50.0,
}
"""One-off cost in score times rows: 100 is the worth of answering 100 more rows rightly."""


class DecisionSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[decisions]`: what is decided how.

    Attributes
    ----------
    policy
        `automatic`, `ask` or `forbid` by remedy; unnamed ones have the defaults of `DEFAULT_POLICY`.
    cost
        One-off cost by remedy, in score times rows; defaults in `DEFAULT_COST`.
    min_labels
        Labelled rows since the onset without which no remedy is tried.
    horizon_rows
        Rows over which a remedy has to pay for its cost.
    confidence
        Of the intervals that a remedy is chosen by.
    tolerable_drop
        A drop of the mean score that nothing needs to be done about.
    judged_share
        Share of the labelled rows since the onset, the newest, that candidates are judged on.
    max_rows
        Newest captured rows that a diagnosis looks at.
    max_rounds
        How often a diagnosis is repeated on more labels before it is given up.
    label_patience_s
        How long each round waits for labels.
    refit_on_all
        Whether a retraining that won its trial is fitted once more on all labelled rows, those that it was judged on
        included, before it goes out.
    strategy
        How a version goes out.
    alias
        Alias that moves along when it points at the replaced version.
    trial_budget_s
        Seconds of workers' time that the trials of one decision may take: what would begin later is not tried, and a
        pipeline that is still running then is ended.
    automatic_per_day
        Remedies that may be carried out about one endpoint within 24 hours without a person; the next is proposed.
    outcome_labels, outcome_patience_s
        The outcome is measured on so many labels of the new version, or on those that came within the patience.
    """

    policy: dict[Remedy, Policy] = msgspec.field(default_factory=dict)
    cost: dict[Remedy, NotNegative] = msgspec.field(default_factory=dict)
    min_labels: Positive = 40
    horizon_rows: Positive = 10_000
    confidence: Annotated[float, msgspec.Meta(ge=0.5, lt=1.0)] = 0.95
    tolerable_drop: Share = 0.02
    judged_share: Share = 0.5
    max_rows: Positive = 5_000
    max_rounds: Positive = 10
    label_patience_s: NotNegative = 86_400.0
    refit_on_all: bool = True
    strategy: Strategy = Strategy.CANARY
    alias: str = "champion"
    trial_budget_s: NotNegative = 7_200.0
    automatic_per_day: Annotated[int, msgspec.Meta(ge=0)] = 6
    outcome_labels: Positive = 50
    outcome_patience_s: NotNegative = 3_600.0

    def policy_of(self, remedy: Remedy) -> Policy:
        """Give what may be done about a remedy."""
        return self.policy.get(remedy, DEFAULT_POLICY[remedy])

    def cost_of(self, remedy: Remedy) -> float:
        """Give the cost of a remedy, in score times rows."""
        return self.cost.get(remedy, DEFAULT_COST[remedy])


class DecisionStatus(enum.StrEnum):
    """How far a decision has come. `MOVES` lists the allowed moves."""

    DIAGNOSING = "diagnosing"
    TRYING = "trying"
    WAITING = "waiting"
    ASKING = "asking"
    ACTING = "acting"
    MEASURING = "measuring"
    DONE = "done"
    FAILED = "failed"

    def is_finished(self) -> bool:
        """Tell whether nothing will happen any more."""
        return not MOVES[self]

    def is_open(self) -> bool:
        """Tell whether it keeps another decision about the same endpoint from being opened."""
        return self not in (DecisionStatus.MEASURING, DecisionStatus.DONE, DecisionStatus.FAILED)


_S = DecisionStatus
_ENDS = frozenset({_S.DONE, _S.FAILED})
MOVES: Mapping[DecisionStatus, frozenset[DecisionStatus]] = {
    _S.DIAGNOSING: frozenset({_S.TRYING, _S.WAITING, _S.ASKING}) | _ENDS,
    _S.TRYING: frozenset({_S.DIAGNOSING, _S.WAITING, _S.ASKING, _S.ACTING}) | _ENDS,
    _S.WAITING: frozenset({_S.DIAGNOSING, _S.ASKING}) | _ENDS,
    _S.ASKING: frozenset({_S.ACTING}) | _ENDS,
    _S.ACTING: frozenset({_S.MEASURING}) | _ENDS,
    _S.MEASURING: _ENDS,
    _S.DONE: frozenset(),
    _S.FAILED: frozenset(),
}
"""Status → the statuses that may follow it."""


class Trigger(enum.StrEnum):
    """Why a decision was opened: the kind of alert, or a person."""

    QUALITY = "quality"
    ERRORS = "errors"
    MANUAL = "manual"
    DRIFT = "drift"

    @property
    def rank(self) -> int:
        """Place in the order of urgency; a lower one gives way to a higher one."""
        return {Trigger.DRIFT: 0, Trigger.MANUAL: 1, Trigger.ERRORS: 2, Trigger.QUALITY: 3}[self]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a decision's timeline."""

    at: datetime
    status: DecisionStatus
    text: str


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What a choice rested on besides the record's evidence and candidates, so that it can be come to again.

    Attributes
    ----------
    settings
        `[decisions]` as they were.
    stages
        That the diagnosis looked at in its last round.
    credibility
        Share of a trial's gain that outcomes of earlier decisions leave, by remedy; 1 for what is left out.
    acted_alone
        Remedies that had been carried out about the endpoint within a day without a person.
    """

    settings: dict[str, Any]
    stages: list[str]
    credibility: dict[str, float] = {}
    acted_alone: int = 0


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One incident, from its opening to its outcome. Evidence and figures are in its catalogue record.

    Attributes
    ----------
    version
        Model version that answered most requests when it was opened.
    onset_position
        Captured row with which the trouble is estimated to begin.
    round
        Counts the diagnoses, from 1.
    remedy
        What was chosen.
    target_version
        The version that the remedy puts live.
    way
        How the remedy is done, where there are several ways: a retraining on `all`, `recent` or `weighted` rows, or a
        `warm` one.
    repair
        How the remedy puts inputs right, and `repair_id` under which it stands at the endpoint.
    pin
        Which revision of its schedule the pipeline goes back to.
    reason
        Why it stands where it stands.
    basis
        What the choice rested on; None before there is one.
    """

    id: str
    project: str
    endpoint: str
    model: str
    version: int
    trigger: Trigger
    alert_id: str | None
    onset_position: int
    record_id: str
    status: DecisionStatus
    round: int = 1
    cause: Cause | None = None
    cause_probability: float | None = None
    subject: str | None = None
    remedy: Remedy | None = None
    target_version: int | None = None
    way: str = ""
    repair: list[ColumnRepair] = []
    repair_id: str | None = None
    pin: PipelinePin | None = None
    rollout_id: str | None = None
    reason: str = ""
    basis: Basis | None = None
    started_by: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    timeline: list[Moment] = []

    @property
    def can_be_carried_out(self) -> bool:
        """Tell whether Noria can do what was chosen; a person has to do everything else."""
        return self.target_version is not None or bool(self.repair) or self.pin is not None


class DecisionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions, newest first; `next` continues."""

    items: list[Decision]
    next: str | None


class StartDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The wish to have an endpoint looked at.

    Attributes
    ----------
    onset_position
        Captured row from which on things are thought to be wrong; estimated from the monitor when left out.
    """

    endpoint: str
    onset_position: int | None = None
    reason: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person says to a proposal."""

    reason: str = ""


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision about an endpoint would look at, were it opened now.

    Attributes
    ----------
    until_label
        Newest label.
    settings
        `[decisions]` of the server's project file.
    open_decision
        The decision that is open about it; None when there is none.
    acted_alone
        Remedies that were carried out about it within a day without a person.
    """

    endpoint: str
    model: str
    version: int
    onset_position: int
    until_label: int | None
    settings: DecisionSection
    open_decision: str | None
    acted_alone: int = 0
