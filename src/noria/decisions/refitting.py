"""Versions that need no pipeline: the present answers mapped anew, the model trained on, or one of another kind.

Worker only.

A recalibration leaves the estimator as it is and learns a map of its answers from labelled live rows: sigmoids of the
classes' scores (Platt, 1999, as scikit-learn's `CalibratedClassifierCV` does it), or a line for numbers. Rows that were
held out from the training count a little beside the live ones, which draws the map towards no change and shows it
classes that have not come since.
A warm retraining goes on from the present model by labelled live rows (`continuing`).
A new model is the best of a handful of kinds, those first that won in the catalogue's records of similar problems, by
labelled rows later than those that it is fitted on.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.catalog.service import Catalog
from noria.core.errors import Invalid, NotFound
from noria.data.client import dataset
from noria.decisions.case import Case, Rows
from noria.decisions.continuing import trained_on
from noria.decisions.entities import FITTED, SCHEME_WORDS, Remedy, Scheme
from noria.decisions.figures import scores_of
from noria.decisions.replay.candidates import KINDS, estimator_of
from noria.decisions.seeding import SEARCHED, kinds_first
from noria.decisions.teaching import kept_rows, target_name, taught_arrays
from noria.registry.client import fetch_version, register
from noria.registry.entities import ModelVersion
from noria.registry.runtimes import sklearn

Arrays = dict[str, NDArray[Any]]

_OLD_WEIGHT = 0.1
_HELD_OUT = 0.2
_MOST_KINDS = 3
_MOST_RECORDS = 200
_JUDGED = 0.25
_LABELS = "labels of the rows"
_SEED = 7  # any: a trial repeated on the same rows teaches the same


def refitted(
    case: Case, remedy: Remedy, teaching: Rows, *, schemes: Sequence[Scheme] = FITTED
) -> ModelVersion:
    """Register the version that recalibrating or a new model makes of labelled rows.

    Parameters
    ----------
    teaching
        Labelled rows since the onset.
    schemes
        What may teach a new model.

    Raises
    ------
    NoriaError
        If the model's form does not allow it, or the rows do not; nothing is registered then.
    """
    return (
        _recalibrated(case, teaching) if remedy is Remedy.RECALIBRATE else _searched(case, teaching, schemes)
    )


def warmed(case: Case, teaching: Rows) -> ModelVersion:
    """Register the version that labelled rows make of the present one by training it on.

    Parameters
    ----------
    teaching
        Labelled rows since the onset.

    Raises
    ------
    NoriaError
        If a model of its kind cannot be trained on, or the rows do not allow it; nothing is registered then.
    """
    if case.reference is None:
        raise Invalid("The version was registered without a sample of its training rows")
    kept, labels = _of_known_classes(case, teaching)
    learnt, held = _dealt({**case.arrays(kept), _LABELS: labels}, _LABELS)
    labels = learnt.pop(_LABELS)
    found = trained_on(fetch_version(case.workspace, case.version), case.version, learnt, labels)
    how = f"trained on by {len(kept)} labelled rows of the endpoint {case.endpoint.name}"
    return _registered(case, found, held, f"Version {case.version.version} {how}")


def _registered(case: Case, model: Any, held: Arrays, message: str) -> ModelVersion:
    """Register what came of the present version, with its sample of training rows and held-out live ones."""
    reference = case.reference
    assert reference is not None  # noqa: S101 - the callers looked
    return register(
        model,
        case.version.model,
        x={name: np.asarray(array) for name, array in reference.inputs.items()},
        y=np.asarray(reference.target),
        holdout=({spec.name: held[spec.name] for spec in case.version.signature.inputs}, held[_LABELS]),
        dataset=case.version.origin.dataset,
        message=message,
        workspace=case.workspace,
    )


def _recalibrated(case: Case, teaching: Rows) -> ModelVersion:
    if case.version.format != sklearn.FORMAT:
        raise Invalid(
            f"Only models of scikit-learn can be recalibrated; this is one of the format `{case.version.format}`"
        )
    if case.is_classification and not _gives_probabilities(case):
        raise Invalid(
            "The version gives no probabilities, and its clients would notice the recalibrated one's"
        )
    held_out = case.held_out
    if held_out is None or case.reference is None:
        raise Invalid("The version was registered without held-out rows to recalibrate it beside")
    kept, labels = _of_known_classes(case, teaching)
    loaded = sklearn.SklearnModel.load(fetch_version(case.workspace, case.version), case.version)
    # Its live quality is compared with rows that the map was not learnt from.
    learnt, held = _dealt({**case.arrays(kept), _LABELS: labels}, _LABELS)
    labels, old = learnt.pop(_LABELS), held_out.inputs
    together = {name: np.concatenate([learnt[name], np.asarray(old[name])]) for name in loaded.columns.names}
    n_live, n_old = len(labels), len(held_out.target)
    weights = np.concatenate([np.ones(n_live), np.full(n_old, _OLD_WEIGHT * n_live / max(n_old, 1))])
    target = np.concatenate([labels, np.asarray(held_out.target).astype(labels.dtype)])
    mapped = _mapped(loaded.estimator, classifies=case.is_classification)
    with warnings.catch_warnings():
        # Weights are to count for the map alone.
        warnings.filterwarnings(
            "ignore", message="Since FrozenEstimator does not appear to accept sample_weight"
        )
        mapped.fit(loaded.rows(together), target, sample_weight=weights)
    how = f"with its answers mapped anew by {len(kept)} labelled rows of the endpoint {case.endpoint.name}"
    return _registered(case, mapped, held, f"Version {case.version.version} {how}")


def _mapped(estimator: Any, *, classifies: bool) -> Any:
    """Put a map behind an estimator that stays as it is."""
    if classifies:
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.frozen import FrozenEstimator

        return CalibratedClassifierCV(FrozenEstimator(estimator), method="sigmoid", ensemble=False)
    from sklearn.ensemble import StackingRegressor
    from sklearn.linear_model import LinearRegression

    return StackingRegressor([("present", estimator)], final_estimator=LinearRegression(), cv="prefit")


def _of_known_classes(case: Case, rows: Rows) -> tuple[Rows, NDArray[Any]]:
    """Give the rows whose labels the model can answer, and these in its own type."""
    if not case.is_classification:
        return rows, np.asarray(rows.labels, dtype=np.float64)
    known = {str(value): value for value in case.version.classes or ()}
    places = [index for index, label in enumerate(rows.labels) if str(label) in known]
    if not places:
        raise Invalid("No labelled row since the onset is of a class that the model knows")
    kept = rows.take(places)
    return kept, np.asarray([known[str(label)] for label in kept.labels])


def _searched(case: Case, teaching: Rows, schemes: Sequence[Scheme]) -> ModelVersion:
    arrays, target = _old_rows(case)
    names = [spec.name for spec in case.version.signature.inputs]
    n_classes = len(np.unique(arrays[target]))
    n_judged = max(1, round(_JUDGED * len(teaching)))
    before, after = (
        teaching.take(range(len(teaching) - n_judged)),
        teaching.take(range(len(teaching) - n_judged, len(teaching))),
    )
    judging = _matrix(case.arrays(after), names)
    records = case.workspace.service(Catalog).list(case.endpoint.project, limit=_MOST_RECORDS).items
    kinds, n_records = kinds_first(
        KINDS,
        records,
        model=case.version.model,
        task=case.version.task.value,
        fingerprint=case.fingerprint,
    )
    tried: dict[tuple[str, Scheme], float] = {}
    for scheme in schemes:
        taught = _taught(case, arrays, before, scheme, target)
        if scheme is not Scheme.ALL and case.is_classification and len(np.unique(taught[target])) < n_classes:
            continue
        for name in kinds[:_MOST_KINDS]:
            answers = _fitted(name, case, taught, names, target).predict(judging).tolist()
            scores = scores_of(case.version.task.value, answers, after.labels, case.error_bound)
            tried[name, scheme] = float(scores.mean())
    best, scheme = max(tried, key=lambda way: tried[way])
    kept, held = _dealt(_taught(case, arrays, teaching, scheme, target), target)
    others = ", ".join(
        f"{way[0]} {score:.3f}" for way, score in tried.items() if way[1] is scheme and way[0] != best
    )
    seeds = f"; {n_records} records of similar problems said which kinds to try" if n_records else ""
    return register(
        _fitted(best, case, kept, names, target),
        case.version.model,
        x={name: kept[name] for name in names},
        y=kept[target],
        holdout=({name: held[name] for name in names}, held[target]),
        dataset=case.version.origin.dataset,
        message=f"A model of the kind {best}, fitted {SCHEME_WORDS[scheme]}: {tried[best, scheme]:.3f} on {n_judged} "
        f"labelled rows of the endpoint {case.endpoint.name} ({others}){seeds}",
        metrics={
            f"{SEARCHED}{name}": max(score for way, score in tried.items() if way[0] == name)
            for name, _ in tried
        },
        workspace=case.workspace,
    )


def _taught(case: Case, old: Arrays, rows: Rows, scheme: Scheme, target: str) -> Arrays:
    kept = kept_rows(old, scheme, len(rows), n_rows=len(old[target]))
    return taught_arrays(kept, case.arrays(rows), rows.labels, target=target)


def _old_rows(case: Case) -> tuple[Arrays, str]:
    """Give the training rows, or the sample of them that the version holds, and the name of their target."""
    names = [spec.name for spec in case.version.signature.inputs]
    arrays = _training_arrays(case)
    if arrays is not None:
        target = target_name(arrays, names)
        return {name: arrays[name] for name in (*names, target)}, target
    if case.reference is None:
        raise Invalid(
            "Neither the training data nor a sample of it is known, so no other model can be fitted on it"
        )
    target = "y" if "y" not in names else "target of the training"
    return {
        **{n: np.asarray(a) for n, a in case.reference.inputs.items()},
        target: np.asarray(case.reference.target),
    }, target


def _training_arrays(case: Case) -> Arrays | None:
    """Read the data set that the version was trained on; None when none is known, or it is there no more."""
    if case.version.origin.dataset is None:
        return None
    try:
        return dataset(case.version.origin.dataset, workspace=case.workspace).arrays()
    except NotFound:
        return None


def _fitted(name: str, case: Case, arrays: Arrays, names: list[str], target: str) -> Any:
    from sklearn.exceptions import ConvergenceWarning

    labels = arrays[target]
    n_classes = len(np.unique(labels)) if case.is_classification else 0
    model = estimator_of(name, n_classes=n_classes)
    if case.is_classification and not _gives_probabilities(case):
        from sklearn.ensemble import VotingClassifier

        # A vote of one: it answers as its voter does, without the probabilities that clients do not know.
        model = VotingClassifier([(name, model)], voting="hard")
    with warnings.catch_warnings():
        # Whether it is good enough is seen on rows that it did not learn from.
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        return model.fit(_matrix(arrays, names), labels)


def _gives_probabilities(case: Case) -> bool:
    return any(spec.name == "probabilities" for spec in case.version.signature.outputs)


def _matrix(arrays: Arrays, names: list[str]) -> NDArray[Any]:
    for name in names:
        if arrays[name].dtype.kind not in "iufb":
            raise Invalid(f"The input `{name}` is no number, which a plain search for another model needs")
    return sklearn.to_matrix([arrays[name] for name in names])


def _dealt(arrays: Arrays, target: str) -> tuple[Arrays, Arrays]:
    """Deal rows into those to fit on and those held out."""
    held = np.random.default_rng(_SEED).random(len(arrays[target])) < _HELD_OUT
    return {name: array[~held] for name, array in arrays.items()}, {
        name: array[held] for name, array in arrays.items()
    }
