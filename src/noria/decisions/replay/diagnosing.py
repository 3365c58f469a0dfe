"""The stages of a diagnosis on a replay, each fed with what the recording shows up to now."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noria.decisions.diagnosis import Diagnosis, conclude
from noria.decisions.replay.announcing import announces, may_be_by_design
from noria.decisions.replay.by_labels import cannot_have_cost, told_by_labels
from noria.decisions.replay.case import Case, State, answers_as_trained, losses_under, signs_of, targets_of
from noria.decisions.replay.code_checks import CodeCheck, answers_differ
from noria.decisions.replay.deployed import older_path
from noria.decisions.replay.mixes import of_the_mix
from noria.decisions.replay.outputs import Floats, Predicted
from noria.decisions.replay.recoding import TABLE
from noria.decisions.replay.repairs import CLOCK, LEVEL, TOGETHER, UNRELATED
from noria.decisions.replay.rows import Window, joined
from noria.decisions.replay.world import Path
from noria.decisions.stages.decomposition import Sides, decomposition
from noria.decisions.stages.finding import Finding, lacks
from noria.decisions.stages.new_class import new_class
from noria.decisions.stages.repeats import ROWS
from noria.decisions.stages.swaps import SWAPPED

_CORRUPT = frozenset(
    {
        "missing",
        "outside",
        "default",
        "frozen",
        "repeat",
        "rounded",
        "spelt",
        "unrelated",
        "lagged",
        "duplicated",
        SWAPPED,
    }
)
_NEAR = 1
_AHEAD = 12
_ENOUGH = 40
_SLIGHT = 0.1
_BY_LABELS = frozenset({UNRELATED, "duplicated"})
_NEWEST = 4


def diagnose(state: State, case: Case) -> Diagnosis:
    """Look at every stage and weigh what they say."""
    findings = [
        _reality(state, case),
        _events(state, case),
        _replay(state, case),
        _contract(state, case),
        _versions(state, case),
        _new_class(state, case),
    ]
    quick = conclude(findings)
    if quick.probability < 0.97:
        findings.append(_shift(state, case))
    return conclude(findings)


def _reality(state: State, case: Case) -> Finding:
    rise = case.rise
    if rise is None:
        return lacks("reality", "There are no labelled rows yet")
    slight = rise.n >= _ENOUGH and rise.rise < _SLIGHT * state.baseline.mean
    # What no world would give is real though it costs nothing yet: a column that the model hardly leans on.
    verdict = "yes" if rise.is_real else "no" if slight and not case.is_plain(state) else "unclear"
    return Finding(
        stage="reality",
        verdict=verdict,
        sentence=(
            f"The loss of {rise.n} labelled rows since window {rise.since} lies {rise.rise:+.4f} above what calm rows "
            f"lose (any-time interval {rise.low:+.4f} to {rise.high:+.4f})"
        ),
        figures={"rise": rise.rise, "low": rise.low, "high": rise.high, "n": rise.n},
    )


def _events(state: State, case: Case) -> Finding:
    episode = state.world.episode
    known = [h for h in episode.happenings if h.window <= state.now]
    near = [h for h in known if abs(h.window - case.onset) <= _NEAR]
    deployed = [d.name for d in state.world.deployments if abs(d.window - case.onset) <= _NEAR]
    columns = {
        sign.column
        for window in case.windows(state)
        for sign in signs_of(state.scenes[window.number])
        if may_be_by_design(sign, state.scenes[window.number].columns, state.inputs.reference)
    }
    announced = [
        h
        for h in known
        if -_AHEAD <= h.window - case.onset <= _NEAR and announces(h, columns, list(state.inputs.reference))
    ]
    if announced:
        case.announced = True
        return Finding(
            stage="events",
            verdict="announced",
            sentence=f"Announced in window {announced[0].window}: {announced[0].text or announced[0].type}",
        )
    told = [*deployed, *(f"{h.type} {h.subject or ''}".strip() for h in near)]
    return Finding(
        stage="events",
        verdict="change_near" if told else "no_change",
        sentence=f"Near window {case.onset}: {', '.join(told)}"
        if told
        else f"Nothing was changed near window {case.onset}",
        subject=deployed[-1] if deployed else None,
    )


def _replay(state: State, case: Case) -> Finding:
    failed = state.errors.get(state.now, "")
    checks = [check for check in case.checks(state) if check.deployment.fit_module is None]
    harmful = next((check for check in checks if check.is_harmful or failed), None) or _skewed(
        state, case, checks
    )
    if harmful is not None:
        step = f"feature {harmful.column}" if harmful.column else harmful.deployment.name
        why = harmful.error or failed
        return Finding(
            stage="replay",
            verdict="features_differ",
            sentence=(
                f"`{harmful.deployment.name}` raises: {why}"
                if why
                else f"{harmful.n} training rows through `{harmful.deployment.name}` get another {step} "
                f"({harmful.features_differ:.1%} of rows) and lose {harmful.harm:+.4f} more "
                f"(standard error {harmful.se:.4f})"
            ),
            subject=step,
        )
    return Finding(
        stage="replay",
        verdict="same",
        sentence="The training rows lose no more through the live code: the code is innocent",
    )


def _skewed(state: State, case: Case, checks: list[CodeCheck]) -> CodeCheck | None:
    """Find a deployment that does to live rows what it did not do to the training rows."""
    for check in checks:
        parts = case.labelled(state)
        path = Path(
            module=state.world.module,
            module_at=state.now,
            model=state.path.model,
            model_at=state.path.model_at,
            repairs=state.path.repairs,
            calibration=state.path.calibration,
        )
        window = state.seen[-1]
        live, straight = state.world.answer(state.path, window)[0], state.world.answer(path, window)[0]
        if not answers_differ(live, straight).any():
            continue
        if not parts:
            return check if answers_differ(live, straight).mean() > max(0.1, 3 * check.differs) else None
        gain = losses_under(state, state.path, parts) - losses_under(state, path, parts)
        if gain.mean() > 3 * gain.std() / np.sqrt(len(gain)):
            return check
    return None


def _contract(state: State, case: Case) -> Finding:
    windows = case.windows(state)[-_NEWEST:]
    together = joined([state.scenes[window.number].columns for window in windows])
    lasting = signs_of(state.inputs.look_at(state.now, together, is_one=len(windows) == 1))
    known = {sign.column for sign in lasting}
    lasting += [s for s in case.signs(state) if s.hard and s.column not in known and case.has(state, s)]
    case.innocent |= cannot_have_cost(state, case, lasting) | of_the_mix(state, case.labelled(state), lasting)
    lasting = [sign for sign in lasting if sign.column not in case.innocent]
    if not lasting and case.rise is not None and case.rise.is_real:
        lasting = told_by_labels(state, case, case.rise, sum(map(len, windows)))
    if not lasting:
        n = len(state.inputs.relations.encoding.names)
        return Finding(stage="contract", verdict="kept", sentence=f"All {n} columns do what they always did")
    case.suspected = [
        sign
        for sign in lasting
        if {CLOCK, LEVEL, TABLE, TOGETHER} & sign.values.keys()
        or (sign.kind in _BY_LABELS and not sign.values)
    ]
    lasting.sort(key=lambda sign: not sign.hard)
    corrupt = [sign for sign in lasting if sign.kind in _CORRUPT]
    first = (corrupt or lasting)[0]
    return Finding(
        stage="contract",
        verdict="corrupt" if corrupt else "changed",
        sentence="; ".join(sign.sentence for sign in lasting[:5]),
        figures={"signs": [{"column": s.column, "kind": s.kind, "size": s.size} for s in lasting[:20]]},
        subject=ROWS if first.column == ROWS else f"column {first.column}",
    )


def _versions(state: State, case: Case) -> Finding:
    deployed = [check for check in case.checks(state) if check.deployment.model is not None]
    if not deployed:
        # The model that answers is the one that was trained: no version of it can have become worse.
        return Finding(
            stage="versions", verdict="none_better", sentence="No model was deployed since training"
        )
    check = deployed[-1]
    parts = case.labelled(state)
    if check.is_harmful:
        verdict, gain = "worse_from_start", check.cost
    elif sum(len(rows) for _, rows in parts) >= 20:
        older = older_path(state)
        gains = losses_under(state, state.path, parts) - losses_under(state, older, parts)
        gain, se = float(gains.mean()), float(gains.std() / np.sqrt(len(gains)))
        verdict = (
            "older_better" if gain > 3 * se and check.deployment.window >= case.onset - 1 else "none_better"
        )
    else:
        verdict, gain = "none_better", check.cost
    return Finding(
        stage="versions",
        verdict=verdict,
        sentence=f"The model before `{check.deployment.name}` loses {gain:.4f} less"
        if gain > 0
        else f"The model before `{check.deployment.name}` is no better",
        figures={"gain": gain},
        subject=f"version {check.deployment.name}" if verdict != "none_better" else None,
    )


def _new_class(state: State, case: Case) -> Finding:
    parts = case.labelled(state)
    model = state.world.model_for(state.path)
    labels = targets_of(parts)
    if not state.world.classifies or model.classes is None:
        return Finding(stage="new_class", verdict="no", sentence="The model has no classes")
    if not len(labels):
        return new_class([], [], model.classes.tolist())
    wrong = np.concatenate(
        [state.world.answer(state.path, w)[0].values[rows] != w.actual[rows] for w, rows in parts]
    )
    return new_class(labels.tolist(), (1.0 - wrong).tolist(), model.classes.tolist())


def _shift(state: State, case: Case) -> Finding:
    windows: list[Window] = case.windows(state)
    encoding = state.inputs.relations.encoding
    encoded = [encoding(state.scenes[window.number].columns) for window in windows]
    starts = np.cumsum([0, *(len(part) for part in encoded)])
    parts = [(window, window.labelled(state.now)) for window in windows]
    labelled = np.concatenate([rows + start for (_, rows), start in zip(parts, starts, strict=False)])
    full = [(window, rows) for window, rows in parts if len(rows)]
    return decomposition(
        Sides(
            reference=state.inputs.relations.rows,
            current=np.vstack(encoded),
            reference_loss=state.baseline.rows,
            loss=losses_under(state, state.path, full),
            reference_labels=state.world.actual,
            labels=targets_of(full) if full else state.world.actual[:0],
            labelled=labelled.astype(np.intp),
            mix_dispersion=state.baseline.mix_dispersion,
            moved=any(state.scenes[window.number].drifted for window in windows),
            reference_answers=_spread(state.baseline.predicted, len(state.world.actual)),
            answers=_live_answers(state, full),
        )
    )


def _spread(predicted: Predicted, n: int) -> Floats | None:
    """Give answers as shares of each class, or as one column of numbers; None unless there are n."""
    found = predicted.values[:, None] if predicted.shares is None else predicted.shares
    return found if found.dtype.kind == "f" and len(found) == n else None


def _live_answers(state: State, parts: list[tuple[Window, NDArray[np.intp]]]) -> Floats | None:
    """Give the answers to labelled rows while the model of training gives them; None otherwise."""
    if not parts or not answers_as_trained(state):
        return None
    found = [
        _spread(state.world.answer(state.path, window)[0].take(rows), len(rows)) for window, rows in parts
    ]
    known = [each for each in found if each is not None]
    return (
        np.vstack(known) if len(known) == len(found) and len({each.shape[1] for each in known}) == 1 else None
    )
