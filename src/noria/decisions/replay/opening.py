"""When an incident begins, and when something else takes its place."""

from __future__ import annotations

from collections.abc import Callable

from noria.decisions.replay.case import Case, State, signs_of
from noria.decisions.replay.watch import Rise


def opened(state: State, rise: Rise | None) -> Case:
    """Open an incident in the newest window, which began where what is seen now was seen first.

    Parameters
    ----------
    rise
        Of the loss, if there is one.
    """
    now, scenes = state.now, state.scenes
    onsets = [
        check.deployment.window for check in Case(onset=0, detected=0).checks(state) if check.is_harmful
    ]
    if not onsets and (now in state.errors or signs_of(scenes[now])):
        onsets.append(_first(state, lambda n: n in state.errors or bool(signs_of(scenes[n]))))
    if not onsets and scenes[now].drifted:
        onsets.append(_first(state, lambda n: scenes[n].drifted))
    if not onsets and rise is not None and rise.is_real:
        onsets.append(rise.since)
    onset = min(onsets, default=now)
    return Case(onset=onset, detected=now, rise=state.losses.since(onset))


def is_overtaken(state: State, case: Case, rise: Rise | None) -> bool:
    """Tell whether something else is wrong now, or began to cost, while what was looked into did not."""
    began = rise is not None and rise.is_real and rise.since > case.onset
    return not case.was_serious and (began or case.is_plain(state) or _is_news(state, case))


def _is_news(state: State, case: Case) -> bool:
    """Tell whether a column shows a sign that did nothing since the onset of what was looked into."""
    scenes = [state.scenes[window.number] for window in case.windows(state)[:-1]]
    stirred = {sign.column for scene in scenes for sign in signs_of(scene)}.union(*(s.moved for s in scenes))
    now = {sign.column for sign in signs_of(state.scenes[state.now])}
    return bool(scenes) and bool(now - stirred - state.known - case.innocent)


def _first(state: State, holds: Callable[[int], bool]) -> int:
    """Give the first of the windows up to now in which something held without a break."""
    onset = state.now
    for earlier in reversed(state.seen[:-1]):
        if not holds(earlier.number):
            break
        onset = earlier.number
    return onset
