"""The stages of a diagnosis on a replay, each fed with what the recording shows up to now."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from noria.decisions.diagnosis import Diagnosis, conclude
from noria.decisions.replay.announcing import announces, may_be_by_design
from noria.decisions.replay.case import Case, State, answers_as_trained, losses_under, signs_of, targets_of
from noria.decisions.replay.clocks import shifted_clocks
from noria.decisions.replay.code_checks import CodeCheck, answers_differ
from noria.decisions.replay.deployed import older_path
from noria.decisions.replay.importance import importances
from noria.decisions.replay.misjoined import misjoined
from noria.decisions.replay.mixes import of_the_mix
from noria.decisions.replay.outputs import Floats, Predicted
from noria.decisions.replay.permuting import exchanged_codes
from noria.decisions.replay.recoding import TABLE
from noria.decisions.replay.repairs import CLOCK, TOGETHER, UNRELATED, drawn_from
from noria.decisions.replay.rows import Window, joined
from noria.decisions.replay.watch import Rise
from noria.decisions.replay.world import Path
from noria.decisions.stages.decomposition import Sides, decomposition
from noria.decisions.stages.finding import Finding, lacks
from noria.decisions.stages.guards import Sign
from noria.decisions.stages.new_class import new_class
from noria.decisions.stages.repeats import ROWS, contradicting
from noria.decisions.stages.silence import Side, silent_column
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
_MOST_SUSPECTS = 4
_SURELY = 2.0  # standard errors
_STRANGERS = 0.05
_EXPLAINS = 0.7  # of the half width of an interval at 0.2 %: two standard errors


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
    case.innocent |= _innocent(state, case, lasting) | of_the_mix(state, case.labelled(state), lasting)
    lasting = [sign for sign in lasting if sign.column not in case.innocent]
    if not lasting and case.rise is not None and case.rise.is_real:
        lasting = _given_to_others(state, case) if state.inputs.tells_copies else []
        # What a column says about the target is known of training rows' rule only.
        if not lasting and not state.relearnt:
            lasting = _by_loss(state, case, case.rise, sum(map(len, windows)))
    if not lasting:
        n = len(state.inputs.relations.encoding.names)
        return Finding(stage="contract", verdict="kept", sentence=f"All {n} columns do what they always did")
    case.suspected = [
        sign
        for sign in lasting
        if {CLOCK, TABLE, TOGETHER} & sign.values.keys() or (sign.kind in _BY_LABELS and not sign.values)
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


def _by_loss(state: State, case: Case, rise: Rise, n_rows: int) -> list[Sign]:
    """Find what no look of the columns tells, but what labelled rows lose: what can be put back exactly comes first."""
    parts, least = case.labelled(state)[-_NEWEST:], _to_explain(rise)
    importance = _importances(state)
    return (
        exchanged_codes(state, parts, importance, least, rise.rise)
        or shifted_clocks(state, parts, importance, least, rise.rise)
        or _silent(state, case, rise, n_rows)
        or misjoined(state, parts, rise, least)
    )


def _given_to_others(state: State, case: Case) -> list[Sign]:
    """Find rows that have the inputs of other rows, which their targets tell."""
    before = [w for w in state.seen if w.number < case.onset]
    sides = []
    for parts in ([(w, w.labelled(state.now)) for w in before], case.labelled(state)):
        kept = [(w, rows) for w, rows in parts if len(rows)]
        columns = [
            {name: values[rows] for name, values in state.scenes[w.number].columns.items()}
            for w, rows in kept
        ]
        sides.append((joined(columns) if columns else {}, targets_of(kept)))
    calm, live = sides
    if len(calm[1]) < _ENOUGH:
        calm = (state.inputs.reference, state.world.actual)
    found = contradicting(calm, live)
    return [] if found is None else [found]


def _innocent(state: State, case: Case, signs: list[Sign]) -> frozenset[str]:
    """List columns that look otherwise than ever, as a moving world may have it, and cannot have cost what is lost.

    With values drawn from training rows in their place, live rows lose what whole columns would let them lose and what
    a shuffle costs at most; what they lose now beyond that is all that these columns can explain.
    """
    rise, raw = case.rise, state.world.raw
    doubtful = sorted({sign.column for sign in signs if not sign.hard and sign.column in raw.columns})
    parts = case.labelled(state)
    if rise is None or not rise.is_real or not doubtful or not parts:
        return frozenset()
    known = _importances(state)
    drawn = replace(state.path, repairs=(*state.path.repairs, drawn_from(raw, doubtful)))
    saved = losses_under(state, state.path, parts) - losses_under(state, drawn, parts)
    most = float(saved.mean() + _SURELY * saved.std() / np.sqrt(len(saved)))
    for name in doubtful:
        mean, se = known.get(name, (math.inf, 0.0))
        most += max(mean, 0.0) + _SURELY * se
    return frozenset(doubtful) if most < _to_explain(rise) else frozenset()


def _to_explain(rise: Rise) -> float:
    """Give the least that has to be explained of a rise."""
    return max(rise.rise - _EXPLAINS * (rise.rise - rise.low), 0.0)


def _importances(state: State) -> dict[str, tuple[float, float]]:
    if state.importance is None:
        state.importance = importances(state.world, state.baseline)
    return state.importance


def _silent(state: State, case: Case, rise: Rise, n_rows: int) -> list[Sign]:
    """Find a column that keeps its looks and tells nothing any more; shuffling it would cost about what is lost."""
    parts = case.labelled(state)
    encoding = state.inputs.relations.encoding
    least = _to_explain(rise)
    known = _importances(state)
    ranked = sorted(encoding.names, key=lambda name: -known.get(name, (0.0, 0.0))[0])[:_MOST_SUSPECTS]
    suspects = [
        name
        for name in ranked
        # Where a column hangs together with the others, its relations would tell that it was shuffled.
        if known.get(name, (0.0, 0.0))[0] >= least and not state.inputs.relations.would_show(name, n_rows)
    ]
    targets = targets_of(parts)
    strange = state.world.classifies and ~np.isin(targets, state.world.actual)
    # Classes that training never had are told by other columns, or by none.
    if not suspects or not parts or np.mean(strange) > _STRANGERS:
        return []
    live = np.vstack([encoding(state.scenes[window.number].columns)[rows] for window, rows in parts])
    found = silent_column(
        Side(rows=state.inputs.relations.rows, targets=state.world.actual),
        Side(rows=live, targets=targets),
        {name: np.flatnonzero(encoding.owners == index) for index, name in enumerate(encoding.names)},
        suspects,
    )
    if found is None:
        return []
    name, then, now = found
    says = (
        f"`{name}` looks as always but tells nothing about the target any more: leaving it out of a small model costs "
        f"{now.mean:+.4f} (standard error {now.se:.4f}), on training rows {then.mean:+.4f}"
    )
    return [Sign(column=name, kind=UNRELATED, size=now.mean, natural=then.mean, sentence=says)]


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
