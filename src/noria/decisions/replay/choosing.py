"""Choose among trials: what surely pays, the cause's own remedy first among equals; else propose, wait, or ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from noria.decisions.choice import plain
from noria.decisions.entities import LEARNS_FROM_LIVE_ROWS, Cause, Remedy
from noria.decisions.replay.trial import Trial, worth

OWN: Mapping[Cause, Remedy] = {
    Cause.NONE: Remedy.WAIT,
    Cause.INPUT_FAULT: Remedy.REPAIR_INPUTS,
    Cause.INPUT_CHANGE: Remedy.FIX_PIPELINE,
    Cause.PIPELINE_FAULT: Remedy.FIX_PIPELINE,
    Cause.MODEL_REGRESSION: Remedy.ROLL_BACK_MODEL,
    Cause.COVARIATE_DRIFT: Remedy.RETRAIN,
    Cause.LABEL_DRIFT: Remedy.RECALIBRATE,
    Cause.CONCEPT_DRIFT: Remedy.RETRAIN,
    Cause.NEW_CLASS: Remedy.RETRAIN,
}
"""Cause → the remedy that mends it by its nature; taken among remedies whose gains cannot be told apart."""

MENDS_WHAT_BROKE = frozenset(
    {Cause.INPUT_FAULT, Cause.INPUT_CHANGE, Cause.PIPELINE_FAULT, Cause.MODEL_REGRESSION}
)
_PROBABLE = 0.5
_ALIKE = 0.75
_UNCALLED = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is done; `settled` is false when more labels may still tell."""

    remedy: Remedy
    trial: Trial | None
    reason: str
    settled: bool = True

    @property
    def repairs(self) -> bool:
        """Tell whether raw rows are changed."""
        return self.trial is not None and self.trial.repairs


def choose(
    causes: Mapping[Cause, float],
    trials: list[Trial],
    allowed: frozenset[Remedy],
    *,
    horizon: int,
    grave: bool,
) -> Choice:
    """Take the remedy with the highest gain net of its cost among those that surely pay.

    Parameters
    ----------
    allowed
        Remedies that may be named, tried or not.
    grave
        Whether something is wrong even if no trial shows what it costs.
    """
    cause = max(causes, key=causes.__getitem__)
    own = OWN.get(cause, Remedy.WAIT)
    called = _called_for(own, grave=grave) if causes[cause] >= _PROBABLE else frozenset()
    sure = [
        trial
        for trial in trials
        if trial.path is not None
        and _pays(trial, called=grave or trial.remedy in called)
        # Where nothing is plainly wrong, inputs are changed only if they are probably what is.
        and (grave or not trial.repairs or (causes[cause] >= _PROBABLE and cause in MENDS_WHAT_BROKE))
    ]
    if sure:
        best = max(sure, key=worth)
        # Where learning surely pays, it need not be sure of each way to learn.
        as_sure = trials if best.remedy in LEARNS_FROM_LIVE_ROWS and own in LEARNS_FROM_LIVE_ROWS else sure
        mine = next((trial for trial in as_sure if trial.remedy is own and trial.path is not None), best)
        alike = worth(mine) >= _ALIKE * worth(best) and (mine.high or 0.0) >= worth(best)
        taken = mine if alike else best
        return Choice(remedy=taken.remedy, trial=taken, reason=_why(taken, cause, causes[cause], horizon))
    proposed = next((t for t in trials if t.remedy is own and t.path is not None), None)
    about = f"The cause is {plain(cause)} with probability {causes[cause]:.0%}"
    if grave and proposed is not None and cause in MENDS_WHAT_BROKE and causes[cause] >= _PROBABLE:
        by_nature = not proposed.repairs and (proposed.high is None or proposed.high > 0)
        if proposed.value is None or proposed.value > 0 or by_nature:
            return Choice(
                remedy=own, trial=proposed, reason=f"{about}, which {plain(own)} mends: {proposed.note}"
            )
        if proposed.repairs:
            # What broke is still to be mended, where it broke; what can be done to rows here does not help.
            return Choice(
                remedy=own,
                trial=None,
                reason=f"{about}, which {plain(own)} mends at its source; here it would not pay: {proposed.note}",
            )
        return Choice(remedy=Remedy.WAIT, trial=None, reason=f"{about}, but {plain(own)} would not pay")
    if grave and cause is Cause.INPUT_FAULT and causes[cause] >= _PROBABLE and own in allowed:
        reason = (
            f"{about}, which {plain(own)} mends at its source; nothing that can be done to rows here does"
        )
        return Choice(remedy=own, trial=None, reason=reason)
    hopeful = [
        trial for trial in trials if trial.value is not None and trial.high is not None and trial.high > 0
    ]
    reason = f"{about}; no remedy that was tried surely gains more than it costs"
    return Choice(remedy=Remedy.WAIT, trial=None, reason=reason, settled=not hopeful)


def _called_for(own: Remedy, *, grave: bool) -> frozenset[Remedy]:
    """Give the remedies that a cause calls for by its nature: its own, and where that learns whatever else does.

    A drift that costs nothing calls for no other model, though one may surely pay.
    """
    if own not in LEARNS_FROM_LIVE_ROWS:
        return frozenset({own})
    return LEARNS_FROM_LIVE_ROWS if grave else frozenset({own}) & {Remedy.RECALIBRATE}


def _pays(trial: Trial, *, called: bool) -> bool:
    """Tell whether a trial surely pays; where nothing calls for it, the best of many trials has to be surer."""
    if trial.low is None or trial.value is None:
        return False
    return trial.value - (1.0 if called else _UNCALLED) * (trial.value - trial.low) > 0


def _why(trial: Trial, cause: Cause, probability: float, horizon: int) -> str:
    return (
        f"The cause is {plain(cause)} with probability {probability:.0%}. "
        f"{plain(trial.remedy).capitalize()} ({trial.note}) "
        f"saves {trial.value:.4f} of loss more than it costs over {horizon} windows (95% interval {trial.low:.4f} to "
        f"{trial.high:.4f})"
    )
