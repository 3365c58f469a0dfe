"""Try remedies on the newest labelled rows: the earlier part teaches, the later part judges. Worker only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from noria.catalog.entities import Candidate, Figure
from noria.core.errors import NoriaError
from noria.core.stats.intervals import mean_interval, wilson
from noria.decisions.case import Case, Rows
from noria.decisions.choice import UNTRIED, net_gain
from noria.decisions.entities import SCHEME_WORDS, DecisionSection, Policy, Remedy, Scheme
from noria.decisions.figures import paired_gain
from noria.decisions.seeding import SEARCHED
from noria.registry.entities import ModelVersion
from noria.registry.service import Models
from noria.serving.rollouts.fitting import signature_differences

FEWEST_JUDGED = 20
FEWEST_OF_A_CLASS = 4
"""Rows of a class that the model does not know, below which a pipeline cannot hold some out and learn from others."""

_MOST_OLDER = 3


@dataclass(frozen=True, kw_only=True)
class Split:
    """Labelled rows by their role in a trial.

    Attributes
    ----------
    teaching
        Labelled rows before the cut, those before the onset included.
    judging
        The newest ones.
    """

    teaching: Rows
    judging: Rows


def split(labelled: Rows, *, onset_position: int, judged_share: float) -> Split:
    """Cut labelled rows in time, so that what is judged on came after what was taught.

    The cut lies within the rows since the onset: older rows belong to a world that is gone and judge nothing.
    """
    since = labelled.since(onset_position)
    n_judging = min(len(since), max(FEWEST_JUDGED, round(judged_share * len(since))))
    cut = len(labelled) - n_judging
    return Split(
        teaching=labelled.take(range(cut)),
        judging=labelled.take(range(cut, len(labelled))),
    )


def lacking(case: Case, rows: Split, settings: DecisionSection) -> int:
    """Give how many more labels a trial needs; 0 when it can begin."""
    n_since = len(case.rows.labelled.since(case.onset_position))
    short = max(settings.min_labels - n_since, FEWEST_JUDGED - len(rows.judging), 0)
    if short or not case.is_classification:
        return short
    known = {str(value) for value in case.version.classes or ()}
    new = Counter(str(label) for label in rows.teaching.labels if str(label) not in known)
    rare = [count for count in new.values() if count < FEWEST_OF_A_CLASS]
    if not rare:
        return 0
    # As rare as the class is among the rows since the onset, so many labels bring the missing ones.
    share = max(min(rare), 1) / max(n_since, 1)
    return min(settings.min_labels, round((FEWEST_OF_A_CLASS - min(rare)) / share))


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a trial found.

    Attributes
    ----------
    candidates
        Every remedy, those that are not admissible marked so; net gains in score times rows.
    targets
        Remedy → the version that it puts live.
    ways
        Remedy → how it is done, where there are several ways.
    """

    candidates: list[Candidate]
    targets: dict[str, int]
    ways: dict[str, str]

    def with_candidate(self, candidate: Candidate) -> Judged:
        """Put a candidate in the place of the one of its name."""
        others = [known for known in self.candidates if known.name != candidate.name]
        return replace(self, candidates=[*others, candidate])


def judge(
    case: Case,
    judging: Rows,
    allowed: frozenset[Remedy],
    settings: DecisionSection,
    *,
    trained: Mapping[str, ModelVersion],
    made: Mapping[str, int | str],
    why_not: str = "",
) -> Judged:
    """Judge every remedy on the same rows.

    Parameters
    ----------
    trained
        The versions that the teaching part gave, by scheme; `why_not` says why there is none.
    made
        Remedy without a pipeline → its version, or why there is none.
    """
    current = case.scores(judging)
    trial = Trial(current, settings)
    targets: dict[str, int] = {}
    ways: dict[str, str] = {}
    found = {Remedy.WAIT: trial.candidate(Remedy.WAIT, current, "the present version as it is")}
    if Remedy.ROLL_BACK_MODEL in allowed:
        candidate, target = _roll_back(case, judging, trial)
        found[Remedy.ROLL_BACK_MODEL] = candidate
        if target is not None:
            targets[Remedy.ROLL_BACK_MODEL.value] = target
    if Remedy.RETRAIN in allowed:
        found[Remedy.RETRAIN], scheme = _retrain(case, judging, trial, trained, why_not)
        if scheme is not None:
            targets[Remedy.RETRAIN.value] = trained[scheme].version
            ways[Remedy.RETRAIN.value] = scheme
    for name, version in made.items():
        if (remedy := Remedy(name)) in allowed:
            found[remedy] = _made(case, judging, trial, remedy, version)
            if isinstance(version, int) and found[remedy].gain is not None:
                targets[name] = version
    others = [_untried(remedy, allowed, settings) for remedy in Remedy if remedy not in found]
    return Judged(candidates=[*found.values(), *others], targets=targets, ways=ways)


class Trial:
    """Sets scores of remedies against those of the present version on the same rows.

    Parameters
    ----------
    current : ndarray, shape (n_rows,)
        Scores of the present version.
    """

    def __init__(self, current: NDArray[np.float64], settings: DecisionSection) -> None:
        self.current = current
        self._settings = settings
        self._alpha = 1 - settings.confidence

    def candidate(
        self, remedy: Remedy, scores: NDArray[np.float64], note: str, *, n_ways: int = 1
    ) -> Candidate:
        """Set a remedy's scores against those of the present version.

        Parameters
        ----------
        n_ways
            Ways of this remedy that the best was taken of; the interval allows for it (Bonferroni).
        """
        per_row = paired_gain(scores, self.current, alpha=self._alpha / n_ways)
        gain = Figure(
            value=per_row.estimate,
            low=per_row.lower,
            high=per_row.upper,
            n=len(scores),
            level=1 - self._alpha,
        )
        waits = remedy is Remedy.WAIT
        forbidden = self._settings.policy_of(remedy) is Policy.FORBID
        return Candidate(
            name=remedy.value,
            figures={
                "score": score_figure(scores, alpha=self._alpha),
                **({} if waits else {"gain_per_row": gain}),
            },
            gain=Figure(value=0.0, n=len(scores)) if waits else net_gain(gain, remedy, self._settings),
            admissible=not forbidden,
            note=f"{note}; the project's policy forbids it" if forbidden else note,
        )


def score_figure(scores: ArrayLike, *, alpha: float) -> Figure:
    """Give a mean score with its interval: Wilson's for right or wrong, Student's otherwise."""
    values = np.asarray(scores, dtype=np.float64)
    if np.isin(values, (0.0, 1.0)).all():
        found = wilson(int(values.sum()), values.size, alpha=alpha)
    elif values.size > 1:
        found = mean_interval(values, alpha=alpha)
    else:
        return Figure(value=float(values.mean()), n=values.size, level=1 - alpha)
    return Figure(
        value=found.estimate, low=found.lower, high=found.upper, n=int(values.size), level=1 - alpha
    )


def _roll_back(case: Case, judging: Rows, trial: Trial) -> tuple[Candidate, int | None]:
    older = [version for version in older_versions(case) if not misfit(case.version, version)]
    tried: list[tuple[float, Candidate, int]] = []
    for version in older:
        try:
            scores = case.scores_with(version, judging)
        except NoriaError:
            continue  # An older version that takes other inputs, or whose files are gone, is none to go back to.
        candidate = trial.candidate(Remedy.ROLL_BACK_MODEL, scores, f"version {version.version}")
        tried.append((float(scores.mean()), candidate, version.version))
    if not tried:
        note = "no older version can answer" if older else "there is no older version"
        return Candidate(name=Remedy.ROLL_BACK_MODEL.value, note=note), None
    _, best, target = max(tried, key=lambda entry: (entry[0], entry[2]))
    return best, target


def older_versions(case: Case) -> list[ModelVersion]:
    """List the newest few versions before the present one."""
    page = case.workspace.service(Models).versions(
        case.endpoint.project, case.endpoint.model, limit=_MOST_OLDER, before=case.version.version
    )
    return page.items


def misfit(known: ModelVersion, new: ModelVersion) -> str:
    """Say why the clients of one version cannot be answered by another; empty when they can.

    A rollout refuses such a version, however well it predicts.
    """
    if known.signature is None or new.signature is None:
        return "it has no signature"
    differences = signature_differences(known.signature, new.signature)
    if known.task != new.task:
        differences.insert(0, f"it is for {new.task}, not {known.task}")
    return "; ".join(differences)


def _retrain(
    case: Case, judging: Rows, trial: Trial, trained: Mapping[str, ModelVersion], why_not: str
) -> tuple[Candidate, str | None]:
    """Judge each scheme's version, and give the best and its scheme."""
    wrong = [why_not] if why_not else []
    tried: dict[str, NDArray[np.float64]] = {}
    for scheme, version in trained.items():
        try:
            tried[scheme] = case.scores_with(version, judging)
        except NoriaError as error:
            wrong.append(f"version {version.version}: {error.message}")
    if not tried:
        return Candidate(name=Remedy.RETRAIN.value, note="; ".join(wrong) or "it could not be tried"), None
    best = max(tried, key=lambda scheme: float(tried[scheme].mean()))
    version = trained[best]
    note = f"version {version.version}, trained {SCHEME_WORDS[Scheme(best)]} ({version.origin.dataset})"
    others = ", ".join(f"{name} {scores.mean():.3f}" for name, scores in tried.items() if name != best)
    note += f"; other ways: {others}" if others else ""
    note += f"; {'; '.join(wrong)}" if wrong else ""
    made = trial.candidate(Remedy.RETRAIN, tried[best], note, n_ways=len(tried))
    ways = {scheme: float(scores.mean()) for scheme, scores in tried.items()}
    return msgspec.structs.replace(made, ways=ways), best


def _made(case: Case, judging: Rows, trial: Trial, remedy: Remedy, version: int | str) -> Candidate:
    """Judge a version that was made without the pipeline."""
    if isinstance(version, str):
        return Candidate(name=remedy.value, note=version)
    found = case.workspace.service(Models).version(case.endpoint.project, case.version.model, version)
    try:
        scores = case.scores_with(found, judging)
    except NoriaError as error:
        return Candidate(name=remedy.value, note=f"version {version}: {error.message}")
    made = trial.candidate(remedy, scores, f"version {version}: {found.message}")
    ways = {
        name.removeprefix(SEARCHED): value
        for name, value in found.metrics.items()
        if name.startswith(SEARCHED)
    }
    return msgspec.structs.replace(made, ways=ways)


def _untried(remedy: Remedy, allowed: frozenset[Remedy], settings: DecisionSection) -> Candidate:
    if remedy not in allowed:
        return Candidate(
            name=remedy.value,
            admissible=False,
            note="it mends none of the probable causes, or would learn from rows that break their contract",
        )
    if settings.policy_of(remedy) is Policy.FORBID:
        return Candidate(name=remedy.value, admissible=False, note="the project's policy forbids it")
    return Candidate(name=remedy.value, note=UNTRIED)
