"""Remedies tried on the labelled rows since the onset: earlier ones teach, later ones judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from noria.decisions.entities import SCHEME_WORDS, Cause, Remedy, Scheme
from noria.decisions.replay.candidates import CANDIDATES
from noria.decisions.replay.case import Case, State, signs_of
from noria.decisions.replay.deployed import older_path
from noria.decisions.replay.lessons import Lessons
from noria.decisions.replay.repairs import CLOCK, Mending, mendings
from noria.decisions.replay.rows import joined
from noria.decisions.replay.runner import CodeRaised
from noria.decisions.replay.trial import Trial, judged, split, worth
from noria.decisions.schemes import schemes_for
from noria.decisions.stages.guards import SCALES, Sign
from noria.decisions.stages.swaps import SWAPPED

_PROBABLE = 0.5
_LATELY = 2  # windows
_OF_CODE = (Remedy.FIX_PIPELINE, Remedy.ROLL_BACK_MODEL)


class Trials:
    """Tries remedies for a case.

    Parameters
    ----------
    causes
        By whose probabilities old rows may mislead.

    Attributes
    ----------
    refuted
        Columns whose signs the trials of repairs speak against.
    """

    def __init__(self, state: State, case: Case, causes: Mapping[Cause, float]) -> None:
        self._state, self._case = state, case
        self.refuted: frozenset[str] = frozenset()
        self._lessons = Lessons(state)
        self._schemes = schemes_for(causes, cheap=True)
        self._mixed = causes.get(Cause.LABEL_DRIFT, 0.0) >= _PROBABLE
        self._parts = case.labelled(state)
        self._teaching, self._judging = split(self._parts)
        self.n_labelled = sum(len(rows) for _, rows in self._parts)
        self.n_judged = sum(len(rows) for _, rows in self._judging)

    def run(self, allowed: frozenset[Remedy]) -> list[Trial]:
        """Try what is allowed."""
        tried = {
            Remedy.FIX_PIPELINE: self._fix,
            Remedy.ROLL_BACK_MODEL: self._roll_back,
            Remedy.REPAIR_INPUTS: self._repair,
            Remedy.RECALIBRATE: self._recalibrate,
            Remedy.RETRAIN: self._retrain,
            Remedy.NEW_MODEL: self._search,
        }
        found: list[Trial] = []
        for remedy, attempt in tried.items():
            if remedy in allowed and not self._state.world.episode.forbids(remedy):
                trial = attempt()
                if trial is not None:
                    found.append(trial)
        return self._with_both(found)

    def _with_both(self, tried: list[Trial]) -> list[Trial]:
        """Where inputs are broken and code or a version is too, try to mend both: one alone may make it worse."""
        repair = next((trial for trial in tried if trial.repairs and trial.path is not None), None)
        found = list(tried)
        for place, trial in enumerate(tried):
            if repair is None or trial.path is None or trial.repairs or trial.remedy not in _OF_CODE:
                continue
            assert repair.path is not None  # noqa: S101 - just looked at
            path = replace(trial.path, repairs=repair.path.repairs)
            both = judged(
                self._state,
                trial.remedy,
                path,
                self._parts,
                f"{_what(trial)}, and {_what(repair)}",
                more=repair.cost,
            )
            if both.value is not None and both.value > (trial.value if trial.value is not None else 0.0):
                found[place] = replace(both, estimated=repair.estimated, repairs=True)
        return found

    # What learns nothing is judged on all labelled rows since the onset.

    def _fix(self) -> Trial | None:
        checks = [c for c in self._case.checks(self._state) if c.deployment.fit_module is None]
        if not any(check.is_harmful for check in checks) and self._case.signs(self._state):
            return self._adapt()
        if not checks:
            return None
        world = self._state.world
        older = [
            d for d in world.deployments if d.module is not None and d.window < checks[-1].deployment.window
        ]
        clean = {c.deployment.module for c in self._state.checks if not c.is_harmful}
        module = next((d.module for d in reversed(older) if d.module in clean), world.module)
        path = replace(self._state.path, module=module, module_at=self._state.now)
        check = checks[-1]
        return judged(
            self._state,
            Remedy.FIX_PIPELINE,
            path,
            self._parts,
            "the code before the deployment",
            known=(check.harm, check.se, check.n),
            trusted=not self._case.signs(self._state),
        )

    def _roll_back(self) -> Trial | None:
        checks = [c for c in self._case.checks(self._state) if c.deployment.model is not None]
        if not checks:
            return None
        check = checks[-1]
        path = older_path(self._state)
        return judged(
            self._state,
            Remedy.ROLL_BACK_MODEL,
            path,
            self._parts,
            f"the model before `{check.deployment.name}`",
            known=(check.harm, check.se, check.n),
            trusted=not self._case.signs(self._state),
        )

    def _adapt(self) -> Trial | None:
        """Have the pipeline take a column in its new form: the same map, as a step of the features."""
        return self._mended(Remedy.FIX_PIPELINE)

    def _repair(self) -> Trial | None:
        return self._mended(Remedy.REPAIR_INPUTS)

    def _mended(self, remedy: Remedy) -> Trial | None:
        found = self._mendings()
        if not found:
            return None
        tried = []
        for chosen in found:
            path = replace(self._state.path, repairs=(*self._state.path.repairs, *(m.apply for m in chosen)))
            words = "; ".join(m.words for m in chosen)
            trial = judged(self._state, remedy, path, self._parts, words)
            tried.append(replace(trial, estimated=not all(m.exact for m in chosen), repairs=True))
        self.refuted = refuted_columns(self._case.signs(self._state), tried)
        # Of those that give the values back the best on labelled rows, unless estimates are surely better.
        first = max((trial for trial in tried if not trial.estimated), key=worth, default=tried[0])
        better = [t for t in tried if t.low is not None and first.value is not None and t.low > first.value]
        return max(better, key=lambda trial: trial.low or 0.0, default=first)

    def _mendings(self) -> list[list[Mending]]:
        """Give sets of repairs: the likeliest of each column, the next of each, and last the estimation of all."""
        state = self._state
        signs = {sign.column: sign for sign in reversed(self._case.signs(state))}
        scenes = [state.scenes[window.number] for window in self._case.windows(state)]
        earlier = [w for w in state.seen if w.number < self._case.onset][-_LATELY:]
        lately = joined([state.scenes[w.number].columns for w in earlier]) if earlier else None
        listed = []
        for name, sign in signs.items():
            if name in scenes[-1].columns or sign.kind == CLOCK:
                # Windows in which it looked as ever, as before a change in the midst of the case, would blur it.
                showing = [each.columns for each in scenes if name in {s.column for s in signs_of(each)}]
                columns = joined(showing or [scenes[-1].columns])
                shows = partial(state.inputs.shows, name=name)
                known = state.inputs.reference
                listed.append(
                    mendings(
                        sign,
                        state.world.raw,
                        known,
                        columns,
                        shows=shows,
                        still=shows,
                        lately=lately,
                        raw=state.path.repaired(state.seen[-1].raw),
                    )
                )
        listed = [found for found in listed if found]
        n_sets = max(map(len, listed), default=0)
        return [[found[min(rank, len(found) - 1)] for found in listed] for rank in range(n_sets)]

    # What learns is judged on rows after those that taught.

    def _recalibrate(self) -> Trial | None:
        final = self._lessons.calibrated(self._parts)
        tried = [
            judged(
                self._state,
                Remedy.RECALIBRATE,
                learnt,
                self._judging,
                note,
                known=self._lessons.saved_in_mix(learnt, self._judging) if self._mixed else None,
                final=final.get(note, learnt),
            )
            for note, learnt in self._lessons.calibrated(self._teaching).items()
        ]
        return max(tried, key=worth, default=None)

    def _retrain(self) -> Trial | None:
        tried: list[tuple[Trial, Scheme, str | None]] = []
        # Where old rows may mislead, the model may be trained on from where it stands, too.
        warm = [Scheme.WARM] if Scheme.RECENT in self._schemes else []
        for scheme in (*self._schemes, *warm):
            how = "trained" if scheme is Scheme.WARM else "fitted"
            note = f"{how} {SCHEME_WORDS[scheme]}"
            try:
                path = self._lessons.fitted(self._teaching, scheme, None)
                trial = (
                    None if path is None else judged(self._state, Remedy.RETRAIN, path, self._judging, note)
                )
            except CodeRaised as error:
                trial = Trial(remedy=Remedy.RETRAIN, path=None, note=error.message)
            if trial is not None:
                tried.append((trial, scheme, None))
        return self._refitted(tried)

    def _search(self) -> Trial | None:
        tried: list[tuple[Trial, Scheme, str | None]] = []
        for name in CANDIDATES:
            for scheme in self._schemes[:2]:
                try:
                    path = self._lessons.fitted(self._teaching, scheme, name)
                    if path is not None:
                        trial = judged(
                            self._state,
                            Remedy.NEW_MODEL,
                            path,
                            self._judging,
                            f"{name}, fitted {SCHEME_WORDS[scheme]}",
                        )
                        tried.append((trial, scheme, name))
                except CodeRaised:
                    continue
        return self._refitted(tried)

    def _refitted(self, tried: list[tuple[Trial, Scheme, str | None]]) -> Trial | None:
        """Take the best of a kind, and fit it on every labelled row."""
        if not tried:
            return None
        best, scheme, name = max(tried, key=lambda t: worth(t[0]))
        if best.value is None or (best.low is not None and best.low <= 0):
            return best
        try:
            return replace(best, path=self._lessons.fitted(self._parts, scheme, name) or best.path)
        except CodeRaised:
            return best


def refuted_columns(signs: list[Sign], tried: list[Trial]) -> frozenset[str]:
    """List columns that only look swapped or rescaled: labelled rows surely lose more with the values put back."""
    exact = [trial for trial in tried if trial.repairs and not trial.estimated]
    doubtful = [sign for sign in signs if sign.kind == SWAPPED or (sign.kind in SCALES and not sign.hard)]
    if not exact or len(doubtful) < len(signs):
        return frozenset()
    if not all(trial.high is not None and trial.high + trial.cost < 0 for trial in exact):
        return frozenset()
    partners = {sign.values[SWAPPED] for sign in doubtful if sign.kind == SWAPPED}
    return frozenset({sign.column for sign in doubtful} | partners)


def _what(trial: Trial) -> str:
    """Give what was tried, without on what it was judged."""
    return trial.note.partition("; judged on")[0]
