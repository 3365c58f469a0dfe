"""What the pages of incidents show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from noria.core.web.drawings import Interval
from noria.core.web.lists import ListContext
from noria.core.web.pages import PageContext
from noria.core.web.parts import Tab
from noria.core.web.retelling import Sentence
from noria.decisions.story_views import Fact, StoryContext


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    """An incident in the list.

    Attributes
    ----------
    url
        Its page.
    kind
        What, in words to be translated.
    sentence
        Stored in English.
    endpoint, endpoint_url
        Where.
    version
        That it is about.
    opened_at, closed_at
        Since when, and until when.
    status
        Where the decision stands, in words to be translated; empty where there is none.
    asks
        Whether it waits for a person.
    cause, choice
        What was found and chosen, in words to be translated; empty while there is nothing.
    """

    url: str
    kind: str
    sentence: Sentence
    endpoint: str
    endpoint_url: str
    version: int
    opened_at: datetime
    closed_at: datetime | None
    status: str
    asks: bool
    cause: str
    choice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskingRow:
    """A decision that waits for a person: its story, the endpoint, and what it proposes (in words)."""

    url: str
    endpoint: str
    remedy: str
    reason: Sentence | None
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """A decision record: its story, what it is about, and what was found and chosen (in words)."""

    url: str
    kind: str
    problem: Sentence
    subject: str
    subject_url: str
    cause: str
    choice: str
    author: str
    created_at: datetime
    is_closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentsContext(ListContext):
    """What the list of incidents shows.

    Attributes
    ----------
    tabs
        Incidents, and all decisions.
    endpoint
        The only one that is shown; empty for all.
    all_url
        The list of all endpoints.
    asking
        What waits for a person.
    incidents
        The open ones first, then newest first; None where the reader may not see alerts, or looks at decisions.
    records
        Decisions, newest first; None where the reader looks at incidents.
    """

    tabs: tuple[Tab, ...]
    endpoint: str
    all_url: str
    asking: tuple[AskingRow, ...]
    incidents: tuple[IncidentRow, ...] | None
    records: tuple[RecordRow, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much, and how sure: a share or score with its interval beside what was expected of it.

    Attributes
    ----------
    value, low, high
        The ends are None where they were not told.
    n
        Rows that it was measured on; None where that was not told.
    expected
        Reference or tolerated share.
    place, expected_place
        Of both, on one scale.
    """

    value: float
    low: float | None
    high: float | None
    n: float | None
    expected: float
    place: Interval
    expected_place: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentContext(PageContext):
    """What the page of an incident shows.

    Attributes
    ----------
    now
        When it was read.
    incident
        Its id.
    kind
        What, in words to be translated.
    sentence
        What, since when, how much, how sure; stored in English.
    endpoint, endpoint_url
        Where.
    version, version_url
        The version that it is about; the address is empty where the model is not known.
    since
        When the trouble is estimated to begin.
    opened_at, closed_at, closed_why
        When it was raised, and when and why it was closed.
    next_command
        What looks further.
    is_decided
        Whether a decision answers alerts of this kind.
    onset_position, last_position
        Captured rows with which it is estimated to begin, and that were looked at last.
    extent
        How much; None where the figures have none.
    drifted, n_inputs, psi, p_value
        The same for drift: inputs that drifted, of how many, how far the one that moved most, and the adjusted p
        of it; None elsewhere.
    figures
        All that were told with it.
    story
        Of the decision that answered it; None while there is none.
    may_close
        Whether the reader may say that it is over.
    """

    now: datetime
    incident: str
    kind: str
    sentence: Sentence
    endpoint: str
    endpoint_url: str
    version: int
    version_url: str
    since: datetime
    opened_at: datetime
    closed_at: datetime | None
    closed_why: Sentence | None
    next_command: str
    is_decided: bool
    onset_position: int
    last_position: int
    extent: Extent | None
    drifted: float | None
    n_inputs: float | None
    psi: float | None
    p_value: float | None
    figures: tuple[Fact, ...]
    story: StoryContext | None
    may_close: bool
