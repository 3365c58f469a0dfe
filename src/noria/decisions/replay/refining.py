"""What was learnt from few rows is taught again on more: at twice as many labelled rows as taught it, if that pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from noria.decisions.entities import LEARNS_FROM_LIVE_ROWS, Cause, admissible
from noria.decisions.replay.case import Case, State
from noria.decisions.replay.choosing import Choice, choose
from noria.decisions.replay.remedies import Trials
from noria.decisions.replay.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What a remedy learnt that answers now.

    Attributes
    ----------
    onset
        Of the incident; the rows since teach.
    n_rows
        Labelled rows that taught it, or that were too few to teach it better.
    """

    onset: int
    n_rows: int
    causes: Mapping[Cause, float]
    subject: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refined:
    """What teaching again came to: the trials, the remedy chosen, and on how many labelled rows."""

    tried: list[Trial]
    choice: Choice
    n_rows: int


def refined(state: State, learnt: Learnt) -> Refined | None:
    """Teach again on the older half of the rows since the onset and judge by the newer, which taught nothing yet.

    What it gains over the model that answers now has to exceed its cost surely. None while rows are too few, or where
    rows since the onset broke their contract.
    """
    case = Case(onset=learnt.onset, detected=state.now, rise=state.losses.since(learnt.onset))
    n_rows = sum(len(rows) for _, rows in case.labelled(state))
    if n_rows < 2 * learnt.n_rows or case.is_broken(state):
        return None
    episode = state.world.episode
    allowed = admissible(learnt.causes, contract_broken=False) & LEARNS_FROM_LIVE_ROWS
    allowed = frozenset(remedy for remedy in allowed if not episode.forbids(remedy))
    tried = Trials(state, case, learnt.causes).run(allowed)
    choice = choose(learnt.causes, tried, allowed, horizon=episode.horizon, grave=False)
    return Refined(tried=tried, choice=choice, n_rows=n_rows)
