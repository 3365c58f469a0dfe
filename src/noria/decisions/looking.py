"""Feed the stages of a diagnosis with what an endpoint shows, in their order, until a cause is certain. Worker only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np

from noria.core.errors import Invalid, NoriaError
from noria.core.stats.novelty import Novelty, novelty
from noria.decisions.announced import announced
from noria.decisions.case import Arrays, Case, Rows
from noria.decisions.comparing import recorded_steps, rerun_finding
from noria.decisions.diagnosis import STAGES, is_certain
from noria.decisions.entities import DecisionSection
from noria.decisions.live import replay_golden
from noria.decisions.live_inputs import LiveInputs, numbers_and_codes
from noria.decisions.pipeline_entities import Compared
from noria.decisions.replay.outputs import texts
from noria.decisions.stages.decomposition import Sides, decomposition
from noria.decisions.stages.events import Change, events
from noria.decisions.stages.finding import LACKS, Finding, lacks
from noria.decisions.stages.new_class import new_class
from noria.decisions.stages.reality import reality
from noria.decisions.stages.shift import shift
from noria.decisions.stages.versions import versions
from noria.decisions.trials import older_versions
from noria.serving.endpoints import Endpoints

_SEED = 7  # any: a diagnosis repeated on the same rows gives the same figures
_MOST_NOVEL = 2_000
_FEWEST_NOVEL = 20
_FEWEST_UNSEEN = 30
_SLACK = timedelta(seconds=60)


def findings(
    case: Case, settings: DecisionSection, inputs: LiveInputs, compared: Compared | None = None
) -> Iterator[Finding]:
    """Look at one stage after the other; later ones need not be looked at once a cause is certain.

    Parameters
    ----------
    compared
        What two revisions of the pipeline that the rows come from made of the same inputs, where one changed.
    """
    look = _Stages(case, settings, inputs, compared)
    found: list[Finding] = []
    for stage in STAGES:
        found.append(look.at(stage))
        yield found[-1]
        if is_certain(found):
            return


class _Stages:
    """Feeds each stage the values that it needs."""

    def __init__(
        self, case: Case, settings: DecisionSection, inputs: LiveInputs, compared: Compared | None
    ) -> None:
        self._case = case
        self._compared = compared
        self._settings = settings
        self._inputs = inputs
        self._since = case.since
        self._labelled = self._since.labelled
        self._scores = case.scores(self._labelled) if len(self._labelled) else np.empty(0)
        self._rng = np.random.default_rng(_SEED)

    def at(self, stage: str) -> Finding:
        found: Finding = getattr(self, f"_{stage}")()
        return found

    def _reality(self) -> Finding:
        held = self._case.version.holdout
        return reality(
            self._scores.tolist(),
            reference=held.score if held else None,
            reference_n=held.n if held else 0,
            tolerable=self._settings.tolerable_drop,
        )

    def _events(self) -> Finding:
        said = announced(self._case, self._inputs)
        if said is not None:
            return said
        rows = self._case.rows.labelled
        scores = self._case.scores(rows).tolist() if len(rows) else []
        return events(scores, rows.times, _changes(self._case), slack=_SLACK, rng=self._rng)

    def _replay(self) -> Finding:
        """Ask the code: the pipeline that the rows come from, where it changed, else the live path."""
        rerun = None
        if self._compared is not None:
            rerun = rerun_finding(self._compared, recorded_steps(self._case.workspace, self._compared))
        if rerun is not None and rerun.verdict == "features_differ":
            return rerun
        golden = replay_golden(self._case)
        return rerun if rerun is not None and golden.verdict == LACKS else golden

    def _contract(self) -> Finding:
        return self._inputs.finding

    def _versions(self) -> Finding:
        older = {}
        for version in older_versions(self._case) if len(self._labelled) else []:
            try:
                older[version.version] = self._case.scores_with(version, self._labelled).tolist()
            except NoriaError:
                continue  # it takes other inputs, or its files are gone: no version to go back to
        return versions(self._scores.tolist(), older)

    def _new_class(self) -> Finding:
        return new_class(
            self._labelled.labels,
            self._scores.tolist(),
            self._case.version.classes if self._case.is_classification else None,
            novel=self._novelty(self._since),
        )

    def _shift(self) -> Finding:
        """Decompose the loss against rows that the model has not learned from; without such, against its sample."""
        sides = self._sides
        return self._shift_of_samples() if sides is None else decomposition(sides, seed=_SEED)

    @cached_property
    def _sides(self) -> Sides | None:
        """Held-out rows on one side, live rows since the onset on the other."""
        held = self._case.held_out
        if held is None or len(held.target) < _FEWEST_UNSEEN or not len(self._since):
            return None
        encoding = self._inputs.inputs.relations.encoding
        columns = numbers_and_codes(self._case.held_out_columns() or {})
        if not encoding.names or any(name not in columns for name in encoding.names):
            return None
        places = {position: index for index, position in enumerate(self._since.positions)}
        return Sides(
            reference=encoding(columns),
            current=encoding(self._inputs.columns(self._since)),
            reference_loss=1.0 - self._case.held_out_scores(),
            loss=1.0 - self._scores,
            reference_labels=self._targets(list(held.target)),
            labels=self._targets(self._labelled.labels),
            labelled=np.array([places[at] for at in self._labelled.positions], dtype=np.intp),
            reference_answers=self._case.answers(held.inputs),
            answers=self._case.answers(self._case.arrays(self._labelled)) if len(self._labelled) else None,
        )

    def _targets(self, values: list[Any]) -> Any:
        return texts(values) if self._case.is_classification else np.asarray(values, dtype=np.float64)

    def _shift_of_samples(self) -> Finding:
        reference, current = self._matrices(self._since)
        if reference is None or current is None:
            return lacks("shift", "There is no sample of training rows with numbers to compare with")
        held = self._case.version.holdout
        sample = self._case.reference
        return shift(
            reference,
            current,
            reference_labels=sample.target if sample and self._case.is_classification else None,
            labels=self._labelled.labels,
            scores=self._scores.tolist(),
            labelled_novelty=self._novelty(self._labelled),
            baseline=held.score if held else None,
            baseline_n=held.n if held else 0,
            rng=self._rng,
        )

    def _novelty(self, rows: Rows) -> Novelty | None:
        reference, current = self._matrices(rows)
        if reference is None or current is None or len(reference) < 2 * _FEWEST_NOVEL or not len(current):
            return None
        known, calibration = reference[::2], reference[1::2]
        try:
            return novelty(known, calibration, current[-_MOST_NOVEL:] if rows is self._since else current)
        except Invalid:
            return None  # no complete row on one side

    def _matrices(self, rows: Rows) -> tuple[Any, Any]:
        """Give the numeric columns of training sample and rows as matrices of equal columns."""
        reference = self._case.reference_columns()
        if reference is None or not len(rows):
            return None, None
        current = self._case.columns(rows)
        names = [
            name for name, column in reference.items() if column.dtype.kind in "biuf" and name in current
        ]
        if not names:
            return None, None

        def matrix(columns: Arrays) -> Any:
            return np.column_stack([np.asarray(columns[name], dtype=float) for name in names])

        return matrix(reference), matrix(current)


def _changes(case: Case) -> list[Change]:
    history = case.workspace.service(Endpoints).history(case.endpoint.project, case.endpoint.name).items
    return [
        Change(at=r.created_at, text=f"version {r.to_version} was deployed", version=r.to_version)
        for r in history
        if r.from_version is not None
    ]
