"""The replay: windows in order through the live path, watched, diagnosed, tried, acted upon, in simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from noria.decisions.diagnosis import Diagnosis
from noria.decisions.entities import LEARNS_FROM_LIVE_ROWS, Cause, Remedy, admissible
from noria.decisions.replay.alerts import TARGET, listed, targets_moved, unknown_classes
from noria.decisions.replay.answer import Answer, Incident
from noria.decisions.replay.baseline import make_baseline
from noria.decisions.replay.case import Case, State, losses_under, signs_of, targets_of
from noria.decisions.replay.choosing import MENDS_WHAT_BROKE, Choice, choose
from noria.decisions.replay.code_checks import check_features, check_model
from noria.decisions.replay.deployed import watched
from noria.decisions.replay.diagnosing import diagnose
from noria.decisions.replay.episode import Episode
from noria.decisions.replay.metrics import Metric
from noria.decisions.replay.opening import is_overtaken, opened
from noria.decisions.replay.outputs import Predicted
from noria.decisions.replay.refining import Learnt, refined
from noria.decisions.replay.remedies import Trials
from noria.decisions.replay.rows import Window, columns_of, rows_of_span, windows_of
from noria.decisions.replay.runner import Runner
from noria.decisions.replay.telling import candidates, evidence, quality_of, window_seen
from noria.decisions.replay.trial import Trial
from noria.decisions.replay.watch import Inputs, Losses, Rise, Scored
from noria.decisions.replay.world import Path, World
from noria.decisions.stages.guards import reference_blocks
from noria.decisions.stages.moves import Moves

MIN_LABELS = 40
PATIENCE = 5
"""Labelled windows after which an undecided incident is left alone."""
ENOUGH_LOOKS = 3
FEWEST_TAUGHT = 2
"""Labelled windows."""

_CERTAIN = 0.5
_SETTLED = 1.5  # what was looked into and left is no news, nor is a little more of it

_ANOTHER_RULE = (Cause.CONCEPT_DRIFT, Cause.NEW_CLASS)
_BY_THE_LOSS = (Cause.CONCEPT_DRIFT, Cause.COVARIATE_DRIFT, Cause.LABEL_DRIFT)
_MENDS = (Remedy.REPAIR_INPUTS, Remedy.FIX_PIPELINE, Remedy.ROLL_BACK_MODEL)

Progress = Callable[[int, int], None]


def replay(
    episode: Episode, *, environ: Mapping[str, str], timeout_s: float, progress: Progress | None = None
) -> Answer:
    """Replay an episode.

    Raises
    ------
    EpisodeInvalid
        If its code cannot be trained with, hangs, opens a socket, or writes outside its folder.
    """
    import sklearn.ensemble  # noqa: F401 - what is loaded later is not limited
    from threadpoolctl import threadpool_limits

    metric = Metric(episode.description.metric, classifies=episode.is_classification)
    runner = Runner(episode.folder, environ=environ, timeout_s=timeout_s)
    try:
        with threadpool_limits(limits=1):
            engine = _Engine(World(episode=episode, runner=runner, metric=metric))
            return engine.run(progress)
    finally:
        runner.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Action:
    onset: int
    window: int
    cost: float


class _Engine:
    """Runs one replay."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._episode = world.episode
        self._windows = windows_of(world.episode)
        world.train()
        block_rows = max(1, len(self._windows[0]))  # what later windows will be is not known
        names = [name for name in world.episode.columns if name not in world.episode.apart]
        self._names = names
        reference = columns_of(world.raw, world.raw, names)
        span = rows_of_span(world.raw, self._windows[0], self._episode.description.time) or block_rows
        baseline = make_baseline(world, span)
        self._state = State(
            world=world,
            baseline=baseline,
            inputs=Inputs(reference, span),
            losses=Losses.of(baseline),
            block_rows=block_rows,
            mix=Moves({TARGET: world.actual}, reference_blocks(len(world.actual), span)),
        )
        self._case: Case | None = None
        self._incidents: list[Incident] = []
        self._actions: list[_Action] = []
        self._alerts: dict[int, list[str]] = {}
        self._with: dict[int, Predicted] = {}
        self._without: dict[int, Predicted] = {}
        self._counted: dict[int, int] = {}
        self._settled = -1
        self._rise: Rise | None = None
        self._learnt: Learnt | None = None

    def run(self, progress: Progress | None) -> Answer:
        """Replay all windows."""
        for number, window in enumerate(self._windows):
            self._step(window)
            if progress is not None:
                progress(number + 1, len(self._windows))
        if self._case is not None:
            self._decide(self._case, final=True)
        return self._answer()

    def _step(self, window: Window) -> None:
        state = self._state
        self._deploy(window)
        state.seen.append(window)
        answered, error = self._world.answer(state.path, window)
        if error:
            state.errors[window.number] = error
        self._with[window.number] = answered
        self._without[window.number] = self._world.answer(Path(), window)[0]
        columns = columns_of(state.path.repaired(window.raw), self._world.raw, self._names)
        scene = state.inputs.see(window.number, columns)
        state.scenes[window.number] = scene
        broke = frozenset(sign.column for sign in signs_of(scene))
        if broke or state.estimates:
            state.faulty[window.number] = frozenset(self._names) if state.estimates else broke
        self._score()
        alerts = self._raised(window)
        self._alerts[window.number] = alerts
        if alerts and (self._case is None or is_overtaken(state, self._case, self._rise)):
            self._case = opened(state, self._rise)
        if self._case is not None:
            state.inputs.stirred()
            self._case.was_serious = self._case.is_plain(state) or self._case.costs
            self._decide(self._case, final=False)
        elif not alerts:
            state.inputs.calm(scene)
            self._refine()

    def _deploy(self, window: Window) -> None:
        state = self._state
        done = {deployment.name for deployment in self._world.deployments}
        due = [
            file
            for file in self._episode.live
            if file.window <= window.number and f"live/{file.path.name}" not in done
        ]
        for deployment in self._world.deploy(due):
            if deployment.name.endswith(".fit.py"):
                state.checks.append(check_model(self._world, state.baseline, deployment))
            else:
                state.checks.append(check_features(self._world, state.baseline, deployment, state.block_rows))

    @property
    def _acted(self) -> _Action | None:
        return self._actions[-1] if self._actions else None

    def _score(self) -> None:
        """Take labels that became known."""
        state = self._state
        for window in state.seen:
            rows = window.labelled(state.now)
            if len(rows) != self._counted.get(window.number, 0):
                self._counted[window.number] = len(rows)
                answered = self._with[window.number]
                if self._acted is not None and window.number <= self._acted.window:
                    # What answered these rows is no longer live: they tell what their labels say of what is, if they
                    # are of the time for which it was chosen.
                    if window.number < self._acted.onset:
                        continue
                    answered = self._world.answer(state.path, window)[0]
                losses = self._world.losses(window, answered, rows)
                state.losses.add(Scored(window=window.number, rows=losses))

    def _raised(self, window: Window) -> list[str]:
        """Say what is wrong at the end of a window."""
        state = self._state
        found: list[str] = []
        case = self._case or Case(onset=window.number, detected=window.number)
        state.checks = [watched(state, check) for check in state.checks]
        harmful = [check for check in case.checks(state) if check.is_harmful]
        found += [f"code: `{c.deployment.name}` costs {c.cost:+.4f} {c.error}".rstrip() for c in harmful]
        if window.number in state.errors:
            found.append(f"code: {state.errors[window.number]}")
        signs = [s for s in signs_of(state.scenes[window.number]) if s.column not in state.known]
        found += [f"inputs: {sign.sentence}" for sign in signs]
        scene = state.scenes[window.number]
        if scene.drifted:
            found.append(f"drift: {listed(sorted(scene.moved))} moved further than ever before")
        if targets_moved(state, self._settled):
            found.append("drift: the labels' mix moved further than ever before")
        unknown = unknown_classes(state, self._settled)
        if unknown:
            found.append(f"labels: {listed(unknown)} was never in training")
        rise = state.losses.rise()
        if self._case is not None:
            self._case.rise = state.losses.since(self._case.onset)
        self._rise = rise
        if rise is not None and rise.is_real:
            found.append(f"quality: loss {rise.rise:+.4f} since window {rise.since}")
        return found

    def _decide(self, case: Case, *, final: bool) -> None:
        state = self._state
        if not final and not self._worth_a_look(case):
            return
        diagnosis = diagnose(state, case)
        trials = Trials(state, case, diagnosis.causes)
        broken = diagnosis.contract_broken or case.is_broken(state)
        # A deployment that surely costs is undone whatever else broke: behind it, no mend of inputs shows.
        undone = frozenset(
            Remedy.FIX_PIPELINE if check.deployment.fit_module is None else Remedy.ROLL_BACK_MODEL
            for check in case.checks(state)
            if check.is_harmful
        )
        allowed = admissible(diagnosis.causes, contract_broken=broken) | undone
        urgent = (
            diagnosis.cause in MENDS_WHAT_BROKE
            and diagnosis.probability >= _CERTAIN
            and (case.is_plain(state) or self._without_labels())
        )
        few = sum(map(len, case.windows(state))) < state.block_rows or trials.n_labelled < MIN_LABELS
        if not urgent and few and not final and not self._out_of_patience(case):
            return
        tried = trials.run(allowed)
        if trials.refuted:
            case.innocent |= trials.refuted
            case.n_known = 0  # the same labels tell something else without that suspicion
            self._decide(case, final=final)
            return
        choice = choose(
            diagnosis.causes,
            tried,
            frozenset(remedy for remedy in allowed if not self._episode.forbids(remedy)),
            horizon=self._episode.horizon,
            grave=case.is_grave(state),
        )
        case.n_looks += 1
        # What is grave, or may be, is looked at anew on more labels before it is left as it is. Rows of one window are
        # of one day: what learns does so from two at least, of which the later judges.
        settled = choice.settled and (
            choice.remedy is not Remedy.WAIT
            or case.n_looks >= ENOUGH_LOOKS
            or not (case.is_grave(state) or case.may_cost(state))
        )
        if choice.remedy in LEARNS_FROM_LIVE_ROWS:
            settled = len(case.labelled(state)) >= FEWEST_TAUGHT
        if settled or urgent or final or self._out_of_patience(case, PATIENCE):
            self._close(case, diagnosis, tried, choice, trials, allowed)

    def _worth_a_look(self, case: Case) -> bool:
        """Tell whether labels or windows came that may change the decision."""
        n = sum(len(rows) for _, rows in case.labelled(self._state))
        worth = case.n_looks == 0 or n >= 1.6 * max(case.n_known, 1) or self._out_of_patience(case)
        case.n_known = n if worth else case.n_known
        return worth

    def _out_of_patience(self, case: Case, longer: int = 0) -> bool:
        waited = self._state.now - case.detected - longer
        delay = self._delay()
        return waited >= PATIENCE if delay is None else waited >= PATIENCE + delay

    def _without_labels(self) -> bool:
        """Tell whether labels would long have come if any did."""
        return self._delay() is None and len(self._state.seen) > PATIENCE

    def _delay(self) -> int | None:
        """Give how many windows labels take, as far as known; None when none ever came."""
        delays = [
            int(np.median(window.known_at[known] - window.number))
            for window in self._state.seen
            if (known := (window.known_at <= self._state.now)).any()
        ]
        return max(delays, default=None)

    def _close(
        self,
        case: Case,
        diagnosis: Diagnosis,
        tried: list[Trial],
        choice: Choice,
        trials: Trials,
        allowed: frozenset[Remedy],
    ) -> None:
        self._case = None
        state = self._state
        grave = case.is_grave(state)
        remedy, abstained, reason = choice.remedy, False, choice.reason
        if remedy is Remedy.WAIT and trials.n_labelled < MIN_LABELS and diagnosis.cause is not Cause.NONE:
            remedy, abstained = Remedy.ASK, True
            reason = (
                f"{reason}; {MIN_LABELS - trials.n_labelled} more labelled rows would let remedies be judged"
            )
        if choice.trial is not None and choice.trial.path is not None:
            state.path = choice.trial.path
            state.estimates |= choice.trial.estimated
            self._actions.append(_Action(onset=case.onset, window=state.now, cost=choice.trial.cost))
        state.relearnt |= diagnosis.cause in _ANOTHER_RULE or (
            choice.trial is not None and choice.remedy in LEARNS_FROM_LIVE_ROWS
        )
        left_before = state.left
        self._settle(case, choice, diagnosis)
        self._settled = state.now
        # What was left broken goes on costing, now more and now less: that is no other cause.
        if left_before and remedy is Remedy.WAIT and diagnosis.cause in _BY_THE_LOSS:
            return
        nameless = diagnosis.cause in (Cause.NONE, Cause.UNKNOWN) or diagnosis.cause in MENDS_WHAT_BROKE
        if remedy is Remedy.WAIT and (
            diagnosis.cause in (Cause.NONE, Cause.UNKNOWN) or (nameless and not grave)
        ):
            return
        self._incidents.append(
            Incident(
                onset_window=case.onset,
                detected_window=case.detected,
                causes={cause: round(share, 6) for cause, share in diagnosis.causes.items()},
                subject=diagnosis.subject,
                remedy=remedy,
                candidates=candidates(tried, allowed, self._episode),
                abstained=abstained,
                reason=f"{reason}. {evidence(diagnosis)}",
            )
        )

    def _settle(self, case: Case, choice: Choice, diagnosis: Diagnosis) -> None:
        """Take what is left as the new normal, so that the same is not raised again."""
        state, broken, grave = self._state, diagnosis.contract_broken, case.is_grave(self._state)
        parts = case.labelled(state)
        left = losses_under(state, state.path, parts)
        # What a mend leaves has another cause, unless what broke was lost and had to be guessed.
        mended = choice.trial is not None and choice.remedy in _MENDS and not choice.trial.estimated
        normal = state.losses.mean if mended or not len(left) else float(left.mean())
        if choice.trial is not None and choice.remedy in LEARNS_FROM_LIVE_ROWS:
            # Rows that taught a model are answered better than those to come.
            normal = normal if choice.trial.left is None else choice.trial.left
            self._learnt = Learnt(
                onset=case.onset, n_rows=len(left), causes=diagnosis.causes, subject=diagnosis.subject
            )
        # What does not surely cost more than it did stays what it is held against.
        if choice.trial is not None or case.costs:
            state.losses.reset(normal, state.now, len(left))
        if len(parts):
            state.mix.accept({TARGET: targets_of(parts)}, slack=_SETTLED)
        by_code = choice.trial is not None and not choice.repairs
        mended_code = by_code and choice.remedy in (Remedy.FIX_PIPELINE, Remedy.ROLL_BACK_MODEL)
        # What may yet cost, though it was not sure of these rows, is looked at again in those to come.
        doubtful = choice.trial is None and not grave and case.may_cost(state)
        for window in case.windows(state):
            columns = columns_of(state.path.repaired(window.raw), self._world.raw, self._names)
            scene = state.inputs.look_at(window.number, columns)
            if broken and not mended_code and not doubtful:
                state.known |= {sign.column for sign in signs_of(state.scenes[window.number])}
            if not doubtful and (not mended_code or not signs_of(scene)):
                state.inputs.learn(scene, slack=_SETTLED)
            state.scenes[window.number] = scene
        state.inputs.restart()
        if broken and (choice.trial is None or choice.trial.estimated):
            state.inputs.forget_copies()
        # What is left as it is stays broken, though it is no news: nothing learns from it.
        state.left |= broken and choice.trial is None and not doubtful
        state.estimates |= state.left
        state.checks = [check for check in state.checks if not check.is_harmful or choice.trial is None]
        if choice.trial is None:
            state.checks = []

    def _refine(self) -> None:
        """Teach what was learnt again, once labels are many more."""
        found = None if self._learnt is None else refined(self._state, self._learnt)
        if self._learnt is None or found is None:
            return
        learnt = self._learnt = replace(self._learnt, n_rows=found.n_rows)
        trial = found.choice.trial
        if trial is None or trial.path is None:
            return
        self._state.path = trial.path
        self._actions.append(_Action(onset=learnt.onset, window=self._state.now, cost=trial.cost))
        if trial.left is not None:
            self._state.losses.reset(trial.left, self._state.now, found.n_rows)
        self._incidents.append(
            Incident(
                onset_window=learnt.onset,
                detected_window=self._state.now,
                causes={cause: round(share, 6) for cause, share in learnt.causes.items()},
                subject=learnt.subject,
                remedy=found.choice.remedy,
                candidates=candidates(found.tried, LEARNS_FROM_LIVE_ROWS, self._episode),
                abstained=False,
                reason=f"What was learnt since window {learnt.onset} is taught again: {found.choice.reason}",
            )
        )

    def _answer(self) -> Answer:
        metric, last = self._world.metric, self._windows[-1].number
        quality = [
            quality_of(
                window,
                self._without[window.number],
                self._with[window.number],
                metric,
                classifies=self._world.classifies,
            )
            for window in self._windows
        ]
        return Answer(
            windows=[
                window_seen(
                    window, self._with[window.number], metric, last=last, alerts=self._alerts[window.number]
                )
                for window in self._windows
            ],
            incidents=self._incidents,
            quality=[found for found, _ in quality],
            value=self._value([saved for _, saved in quality]),
        )

    def _value(self, saved: list[float]) -> float:
        total = -sum(action.cost for action in self._actions)
        for window, amount in zip(self._windows, saved, strict=True):
            if any(0 < window.number - a.window <= self._episode.horizon for a in self._actions):
                total += amount
        return total
