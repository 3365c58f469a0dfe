"""What a replay tells at its end: windows, quality with and without the actions, and all candidates of an incident."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from noria.decisions.diagnosis import Diagnosis
from noria.decisions.entities import Remedy
from noria.decisions.replay.answer import Quality, Tried, WindowSeen
from noria.decisions.replay.episode import Episode
from noria.decisions.replay.metrics import Metric
from noria.decisions.replay.outputs import Predicted
from noria.decisions.replay.rows import Window
from noria.decisions.replay.trial import Trial
from noria.decisions.replay.watch import interval_of


def window_seen(
    window: Window, answered: Predicted, metric: Metric, *, last: int, alerts: list[str]
) -> WindowSeen:
    """Tell how a window fared by the labels that became known, with the interval of its metric."""
    rows = window.labelled(last)
    answered = answered.take(rows)
    value = metric.value(window.actual[rows], answered)
    interval = None
    if len(rows) > 1 and math.isfinite(value):
        losses = metric.rows(window.actual[rows], answered)
        low, high = interval_of(losses)
        base = float(losses.mean())
        loss = metric.loss(window.actual[rows], answered)
        ends = sorted(metric.as_value(loss + metric.in_loss(end - base, base)) for end in (low, high))
        interval = (ends[0], ends[1])
    return WindowSeen(
        window=window.number,
        n=len(window),
        n_labelled=len(rows),
        metric=_finite(value),
        interval=interval,
        alerts=alerts,
    )


def quality_of(
    window: Window, without: Predicted, with_actions: Predicted, metric: Metric, *, classifies: bool
) -> tuple[Quality, float]:
    """Give the metric of a window with and without the actions on every label, and the loss that they saved."""
    rows = _with_target(window, classifies=classifies)
    actual = window.actual[rows]
    one, other = without.take(rows), with_actions.take(rows)
    found = Quality(
        window=window.number,
        without=_finite(metric.value(actual, one)),
        with_actions=_finite(metric.value(actual, other)),
    )
    saved = metric.loss(actual, one) - metric.loss(actual, other)
    return found, saved if math.isfinite(saved) else 0.0


def candidates(tried: list[Trial], allowed: frozenset[Remedy], episode: Episode) -> list[Tried]:
    """List every remedy: what its trial gave, or why there was none."""
    return [_told(trial, episode) for trial in tried] + _untried(tried, allowed, episode)


def _told(trial: Trial, episode: Episode) -> Tried:
    judged = trial.value is not None and trial.low is not None and trial.high is not None
    return Tried(
        remedy=trial.remedy,
        gain=trial.value,
        interval=(trial.low, trial.high) if judged else None,  # type: ignore[arg-type]
        cost=episode.cost_of(trial.remedy),
        admissible=True,
        note=trial.note,
    )


def _untried(tried: list[Trial], allowed: frozenset[Remedy], episode: Episode) -> list[Tried]:
    done = {trial.remedy for trial in tried}
    found = []
    for remedy in Remedy:
        if remedy in done:
            continue
        inert = remedy in (Remedy.WAIT, Remedy.ASK)
        forbidden = episode.forbids(remedy)
        note = (
            "forbidden by the policy"
            if forbidden
            else "it mends none of the probable causes"
            if remedy not in allowed
            else "could not be tried"
        )
        found.append(
            Tried(
                remedy=remedy,
                gain=0.0 if remedy is Remedy.WAIT else None,
                interval=(0.0, 0.0) if remedy is Remedy.WAIT else None,
                cost=episode.cost_of(remedy),
                admissible=remedy in allowed and not forbidden,
                note="nothing is done" if inert else note,
            )
        )
    return found


def evidence(diagnosis: Diagnosis) -> str:
    """Put what the stages found into one text."""
    told = [found.sentence for found in diagnosis.evidence if found.verdict != "lacks"]
    return ". ".join(told)


def _with_target(window: Window, *, classifies: bool) -> Any:
    if not classifies:
        return np.flatnonzero(np.isfinite(window.actual))
    return np.flatnonzero(window.target.is_not_null().to_numpy())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
