"""What earlier decisions tell the next: how often a remedy held for a cause, and what a person rejected. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from noria.catalog.entities import Candidate, DecisionRecord, Figure
from noria.decisions.entities import IDLE, Cause, DecisionSection, Remedy

HELD, FAILED = 4.0, 1.0
"""Pseudo-counts of the prior: before any outcome is known, a remedy that won its trial is as one of which four held
and one did not."""

WORSE_BY = 1.25
"""A rejected proposal is made again when its gain is more than this many times what it was."""

REJECTED = "rejected"
NOT_ASKED = "not_asked_again"
UNDONE = ("rolled_back",)


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """How a remedy fared for a cause: times that it made live answers better, and times that it did not."""

    n_held: int = 0
    n_failed: int = 0

    @property
    def credibility(self) -> float:
        """Share of a trial's gain that is believed: the chance that it holds, against that without any history.

        The chance is the mean of the beta posterior, (a + held) / (a + b + held + failed) with a = `HELD` and b =
        `FAILED`, divided by the prior mean a / (a + b) and never above 1: success in the past does not add to what a
        trial measured.

        References
        ----------
        Gelman, A. et al. (2013). Bayesian Data Analysis, 3rd ed., section 2.4.

        Examples
        --------
        >>> Outcomes().credibility, Outcomes(n_held=9).credibility, Outcomes(n_failed=3).credibility
        (1.0, 1.0, 0.625)
        """
        mean = (HELD + self.n_held) / (HELD + FAILED + self.n_held + self.n_failed)
        return min(1.0, mean / (HELD / (HELD + FAILED)))


def held(record: DecisionRecord) -> bool | None:
    """Tell whether a closed record's remedy made answers better; None when its outcome was not measured."""
    outcome = record.outcome or {}
    if outcome.get("result") in UNDONE:
        return False
    if "score_before" not in outcome or "score_after" not in outcome:
        return None
    return bool(outcome["score_after"] > outcome["score_before"])


def outcomes_of(records: Iterable[DecisionRecord], cause: Cause) -> dict[Remedy, Outcomes]:
    """Count how each remedy fared in earlier decisions about the same cause."""
    found: dict[Remedy, Outcomes] = {}
    for record in records:
        better = held(record) if record.closed_at is not None else None
        if record.cause != cause.value or record.choice is None or better is None:
            continue
        remedy = Remedy(record.choice)
        known = found.get(remedy, Outcomes())
        found[remedy] = Outcomes(n_held=known.n_held + better, n_failed=known.n_failed + (not better))
    return found


def credibilities(records: Iterable[DecisionRecord], cause: Cause) -> dict[str, float]:
    """Give the credibility of each remedy that has a history for a cause, by its name."""
    return {remedy.value: known.credibility for remedy, known in outcomes_of(records, cause).items()}


def believed(
    candidates: Sequence[Candidate], credibility: Mapping[str, float], settings: DecisionSection
) -> list[Candidate]:
    """Take off of each measured gain what history speaks against; costs stay."""
    return [_believed(candidate, credibility.get(candidate.name, 1.0), settings) for candidate in candidates]


def rejection_of(
    records: Iterable[DecisionRecord], proposal: DecisionRecord, remedy: Remedy
) -> DecisionRecord | None:
    """Find the newest record in which a person rejected the same proposal on the same evidence.

    The same proposal: about the same endpoint, for the same cause, the same remedy. The same evidence: each stage that
    named a column, version or class both times named the same one, and the remedy's gain is not more than `WORSE_BY`
    times what it was then. Verdicts are not compared: a sign near its limit changes its name by chance.

    Parameters
    ----------
    proposal
        Record of the decision that would ask now.
    """
    return next((old for old in records if _is_same(old, proposal, remedy)), None)


def _is_same(old: DecisionRecord, new: DecisionRecord, remedy: Remedy) -> bool:
    if old.id == new.id or (old.outcome or {}).get("result") != REJECTED:
        return False
    if (old.subject, old.cause, old.choice) != (new.subject, new.cause, remedy.value):
        return False
    before, after = _subjects(old), _subjects(new)
    if any(before[stage] != after[stage] for stage in before.keys() & after.keys()):
        return False
    then, now = _gain(old, remedy), _gain(new, remedy)
    return then is None or now is None or now <= max(then * WORSE_BY, 0.0)


def _subjects(record: DecisionRecord) -> dict[str, str]:
    found = {evidence.stage: evidence.figures.get("subject") for evidence in record.evidence}
    return {stage: subject for stage, subject in found.items() if subject}


def _gain(record: DecisionRecord, remedy: Remedy) -> float | None:
    found = next((c for c in record.candidates if c.name == remedy.value), None)
    return found.gain.value if found is not None and found.gain is not None else None


def _believed(candidate: Candidate, credibility: float, settings: DecisionSection) -> Candidate:
    gain = candidate.gain
    if gain is None or credibility >= 1.0 or candidate.name in IDLE:
        return candidate
    cost = settings.cost_of(Remedy(candidate.name))

    def discounted(net: float | None) -> float | None:
        return None if net is None else credibility * (net + cost) - cost

    changed = Figure(
        value=credibility * (gain.value + cost) - cost,
        low=discounted(gain.low),
        high=discounted(gain.high),
        n=gain.n,
        level=gain.level,
    )
    note = f"{candidate.note}; outcomes of earlier decisions leave {credibility:.0%} of its gain"
    return msgspec.structs.replace(candidate, gain=changed, note=note)
