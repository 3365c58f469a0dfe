"""What the page of a rollout shows, and the parts of it that the pages of endpoints show too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from noria.core.web.drawings import Interval
from noria.core.web.pages import PageContext
from noria.core.web.retelling import Sentence
from noria.serving.entities import PairFigures, VersionFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """A state in words (to be translated), with its colour and its sign."""

    state: str
    words: str
    sign: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareBar:
    """A version and its share of the requests, and where the share begins in a bar from 0 to 1."""

    version: int
    url: str
    weight: float
    start: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """What a gate says.

    Attributes
    ----------
    words
        Its name, to be translated.
    badge
        Its verdict.
    sentence
        What it found.
    figures
        Names, to be translated, and values.
    place, limit
        The interval of the difference, and where the limit lies on the same scale; None where it was not judged.
    """

    words: str
    badge: Badge
    sentence: Sentence
    figures: tuple[tuple[str, float | int], ...]
    place: Interval | None
    limit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalsView:
    """Who has to agree to a rollout.

    Attributes
    ----------
    n, role
        How many persons, of which role at least.
    is_before_start
        Whether the rollout does not begin before; else it does not switch.
    names
        Of those who agreed.
    may_approve
        Whether the reader can be the next.
    """

    n: int
    role: str
    is_before_start: bool
    names: tuple[str, ...]
    may_approve: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A step of a rollout.

    Attributes
    ----------
    number
        From 1; 0 is the loading of the new version.
    weight, mirrored
        Shares of the requests that the new version answers, and predicts along.
    figures
        How both versions fared, the new one first; empty where it has not ended.
    pairs
        The rows that both predicted; None where there are none.
    bake_s, min_requests
        How long it lasts at least, and how many requests it needs; None for the loading.
    badge
        How it ended, or that it is the present one; None where it has not begun.
    is_now
        Whether it is the present one.
    n_requests
        What the new version answered in it; None where it has not begun.
    started_at, ended_at
        None where that has not come yet.
    gates
        What they said at its end, or say now.
    """

    number: int
    weight: float
    bake_s: float | None
    min_requests: int | None
    badge: Badge | None
    is_now: bool
    n_requests: int | None
    mirrored: float
    figures: tuple[VersionFigures, ...]
    pairs: PairFigures | None
    started_at: datetime | None
    ended_at: datetime | None
    gates: tuple[GateRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """Something that happened to a rollout.

    Attributes
    ----------
    words
        What, to be translated, with `%(name)s` for values.
    values
        What is put in.
    text
        Why; None where nobody said.
    """

    at: datetime
    state: str
    words: str
    values: dict[str, str]
    text: Sentence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutContext(PageContext):
    """What the page of a rollout shows.

    Attributes
    ----------
    now
        When it was read.
    rollout_id
        Which it is.
    endpoint, endpoint_url
        Where it goes, and its page.
    model
        Whose versions they are.
    from_version, from_url
        What was there before; None and empty for the first deployment.
    to_version, to_url
        What takes its place.
    badge
        How it stands.
    is_finished, is_paused
        Whether nothing will happen any more, and whether it waits for a person.
    strategy
        In words to be translated.
    reason
        Why it ended or waits; None while nobody said.
    started_by, created_at, ended_at
        Who began it, when, and when it ended.
    alias
        Moves along; empty for none.
    decision_url
        The decision that asked for it; empty for none.
    patience_s
        How long a step may stay undecided; None waits.
    confidence, abort_confidence
        At which gates pass and fail.
    shares, mirrored
        Of the requests, while it is under way; and the share that the new version predicts along.
    approvals
        Who has to agree; None for nobody.
    waits_for
        What the present step still lacks.
    progress, needed
        Requests of the present step, and how many it needs; `needed` is None where it needs none.
    bake_left_s
        Seconds that the present step lasts still; None where that is not known.
    steps
        In their order; empty for a version that took its place at once.
    timeline
        Newest first.
    may_deploy
        Whether the reader may steer it.
    """

    now: datetime
    rollout_id: str
    endpoint: str
    endpoint_url: str
    model: str
    from_version: int | None
    from_url: str
    to_version: int
    to_url: str
    badge: Badge
    is_finished: bool
    is_paused: bool
    strategy: str
    reason: Sentence | None
    started_by: str
    created_at: datetime
    ended_at: datetime | None
    alias: str
    decision_url: str
    patience_s: float | None
    confidence: float
    abort_confidence: float
    shares: tuple[ShareBar, ...]
    mirrored: float
    approvals: ApprovalsView | None
    waits_for: tuple[Sentence, ...]
    progress: int
    needed: int | None
    bake_left_s: float | None
    steps: tuple[StepRow, ...]
    timeline: tuple[TimelineRow, ...]
    may_deploy: bool
