# ruff: noqa: D401 - an injector says what happens
"""Incidents that thresholds were tuned on: at least three ways for each cause."""

from __future__ import annotations

import numpy as np
import polars as pl
from episodes import Injector, Scene


def unit(scene: Scene) -> None:
    """A column comes in another unit."""
    name = scene.numeric()
    values = scene.stream[name].to_numpy().astype(float)
    scene.put(name, np.where(scene.hit, values * 100.0, values))
    scene.subject = name


def emptied(scene: Scene) -> None:
    """Most values of a column are missing."""
    name = scene.numeric()
    gone = scene.hit & (scene.rng.random(len(scene.windows)) < 0.9)
    scene.stream = scene.stream.with_columns(
        pl.when(pl.Series(gone)).then(None).otherwise(pl.col(name)).alias(name)
    )
    scene.subject = name


def frozen(scene: Scene) -> None:
    """A column stands still."""
    name = scene.numeric()
    values = scene.stream[name].to_numpy().astype(float)
    scene.put(name, np.where(scene.hit, values[np.flatnonzero(scene.hit)[0]], values))
    scene.subject = name


def misjoined(scene: Scene) -> None:
    """A column comes from other rows."""
    name = scene.numeric()
    values = np.array(scene.stream[name].to_numpy().astype(float))
    for window in np.unique(scene.windows[scene.hit]):
        rows = np.flatnonzero(scene.windows == window)
        values[rows] = values[scene.rng.permutation(rows)]
    scene.put(name, values)
    scene.subject = name


def announced_unit(scene: Scene) -> None:
    """A column comes in another unit, as was announced."""
    unit(scene)
    _announce(scene, "is delivered in hundredths from now on")


def announced_offset(scene: Scene) -> None:
    """A column counts from another origin and step, as was announced."""
    name = scene.numeric()
    values = scene.stream[name].to_numpy().astype(float)
    scene.put(name, np.where(scene.hit, values * 1.8 + 4 * np.nanstd(values), values))
    scene.subject = name
    _announce(scene, "switched to the new scale")


def announced_negation(scene: Scene) -> None:
    """A column counts the other way, as was announced."""
    name = scene.numeric()
    values = scene.stream[name].to_numpy().astype(float)
    scene.put(name, np.where(scene.hit, -values, values))
    scene.subject = name
    _announce(scene, "has a new sign convention")


def _announce(scene: Scene, what: str) -> None:
    scene.events.append(
        {"window": scene.onset, "type": "schema", "subject": scene.subject, "text": f"{scene.subject} {what}"}
    )


def code_scale(scene: Scene) -> None:
    """New code divides a feature."""
    _code(scene, "found = found.with_columns(pl.col(NAME) / 10)")


def code_zero(scene: Scene) -> None:
    """New code loses a feature."""
    _code(scene, "found = found.with_columns(pl.lit(0.0).alias(NAME))")


def code_swap(scene: Scene) -> None:
    """New code exchanges two features."""
    other = next(c for c in scene.weights[1:] if scene.reference[c].dtype.is_float() and c != scene.numeric())
    _code(scene, f"found = found.with_columns(pl.col(NAME).alias({other!r}), pl.col({other!r}).alias(NAME))")


def _code(scene: Scene, line: str) -> None:
    name = scene.numeric()
    text = scene.pipeline.replace("def features(raw):", "def _features(raw):")
    line = line.replace("NAME", repr(name))
    scene.live[f"{scene.onset:03d}.py"] = (
        f"{text}\ndef features(raw):\n    found = _features(raw)\n    {line}\n    return found\n"
    )
    scene.subject = name


def fit_few(scene: Scene) -> None:
    """A new version learnt from a handful of rows."""
    _fit(
        scene,
        "old(features.head(40), target.head(40)) if target.head(40).n_unique() > 1 else old(features, target)",
    )


def fit_noise(scene: Scene) -> None:
    """A new version learnt from labels of which half were shuffled."""
    _fit(
        scene,
        "old(features, pl.concat([target.head(target.len() // 2).shuffle(1), target.tail(target.len() - target.len() // 2)]))",  # noqa: E501
    )


def fit_blind(scene: Scene) -> None:
    """A new version of a kind that cannot learn it."""
    kind = "DecisionTreeClassifier" if scene.source.task == "classification" else "DecisionTreeRegressor"
    _fit(scene, f"__import__('sklearn.tree').tree.{kind}(max_depth=1).fit(features, target)")


def _fit(scene: Scene, what: str) -> None:
    text = scene.pipeline.replace("def fit(features, target):", "def old(features, target):")
    scene.live[f"{scene.onset:03d}.fit.py"] = f"{text}\ndef fit(features, target):\n    return {what}\n"


def tilt(scene: Scene) -> None:
    """Rows with high values of an important column become frequent."""
    _resample(scene, scene.numeric(), lambda z: 1 / (1 + np.exp(-4 * (z - 0.8))))


def corner(scene: Scene) -> None:
    """Only a corner of the world is left."""
    _resample(scene, scene.numeric(), lambda z: np.where(z < -0.3, 1.0, 0.05))


def tails(scene: Scene) -> None:
    """The middle of an important column becomes rare."""
    _resample(scene, scene.numeric(), lambda z: np.where(np.abs(z) > 1.0, 1.0, 0.08))


def _resample(scene: Scene, name: str, share: object) -> None:
    values = scene.stream[name].to_numpy().astype(float)
    known = scene.reference[name].to_numpy().astype(float)
    z = (values - np.nanmean(known)) / max(float(np.nanstd(known)), 1e-9)
    scene.keep(~scene.hit | (scene.rng.random(len(z)) < share(np.nan_to_num(z))))  # type: ignore[operator]


def fewer(scene: Scene) -> None:
    """One side of the target becomes rare."""
    _by_target(scene, 0.1, upper=True)


def more(scene: Scene) -> None:
    """The other side of the target becomes rare."""
    _by_target(scene, 0.15, upper=False)


def slowly(scene: Scene) -> None:
    """One side of the target becomes rare over three windows."""
    high = _high(scene)
    share = np.clip(1 - (scene.windows - scene.onset + 1) / 3, 0.1, 1.0)
    scene.keep(~scene.hit | ~high | (scene.rng.random(len(high)) < share))


def _by_target(scene: Scene, share: float, *, upper: bool) -> None:
    high = _high(scene)
    rare = high if upper else ~high
    scene.keep(~scene.hit | ~rare | (scene.rng.random(len(rare)) < share))


def _high(scene: Scene) -> np.ndarray:
    target = scene.stream[scene.source.target]
    if scene.source.task == "regression":
        return np.asarray(target.to_numpy() > np.median(scene.reference[scene.source.target].to_numpy()))
    names = scene.reference[scene.source.target].unique().sort()
    return np.asarray(target.is_in(names[: max(1, len(names) // 2)].implode()).to_numpy())


def flipped(scene: Scene) -> None:
    """Targets of a half of the world become others."""
    name = scene.numeric()
    half = scene.stream[name].to_numpy().astype(float) > np.nanmedian(
        scene.reference[name].to_numpy().astype(float)
    )
    _retarget(scene, scene.hit & half)


def everywhere(scene: Scene) -> None:
    """Targets of two thirds of all rows become others, by a rule on two columns."""
    one, two = [c for c in scene.weights if scene.reference[c].dtype.is_float()][:2]
    a, b = (scene.stream[c].rank("ordinal").to_numpy() / scene.stream.height for c in (one, two))
    _retarget(scene, scene.hit & (a + b > 0.8))


def bent(scene: Scene) -> None:
    """Targets depend on an important column otherwise."""
    name = scene.numeric()
    rank = scene.stream[name].rank("ordinal").to_numpy() / scene.stream.height
    _retarget(scene, scene.hit & ((rank < 0.25) | (rank > 0.6)))


def _retarget(scene: Scene, rows: np.ndarray) -> None:
    name = scene.source.target
    target = scene.stream[name]
    if scene.source.task == "regression":
        values = target.to_numpy().astype(float)
        scene.put(name, np.where(rows, values + 1.2 * np.std(values), values), clean=True)
        return
    names = scene.reference[name].unique().sort().to_list()
    after = {value: names[(i + 1) % len(names)] for i, value in enumerate(names)}
    moved = [after[v] if hit else v for v, hit in zip(target.to_list(), rows, strict=True)]
    scene.put(name, pl.Series(name, moved, dtype=target.dtype), clean=True)


def unknown_class(scene: Scene) -> None:
    """A class that was left out of training appears."""
    name = scene.source.target
    last = scene.reference[name].unique().sort()[-1]
    scene.reference = scene.reference.filter(pl.col(name) != last)
    scene.keep(scene.hit | (scene.stream[name] != last).to_numpy())


def unknown_two(scene: Scene) -> None:
    """Two classes that were left out of training appear."""
    name = scene.source.target
    first = scene.reference[name].unique().sort()[:2]
    scene.reference = scene.reference.filter(~pl.col(name).is_in(first.implode()))
    scene.keep(scene.hit | ~scene.stream[name].is_in(first.implode()).to_numpy())


def unknown_rare(scene: Scene) -> None:
    """A class that was left out of training appears, and others become rare."""
    unknown_class(scene)
    kept = scene.reference[scene.source.target].unique().sort()[0]
    is_kept = (scene.stream[scene.source.target] == kept).to_numpy()
    scene.keep(~scene.hit | ~is_kept | (scene.rng.random(len(is_kept)) < 0.4))


INJECTORS: dict[str, list[Injector]] = {
    "input_fault": [unit, emptied, frozen, misjoined],
    "input_change": [announced_unit, announced_offset, announced_negation],
    "pipeline_fault": [code_scale, code_zero, code_swap],
    "model_regression": [fit_few, fit_noise, fit_blind],
    "covariate_drift": [tilt, corner, tails],
    "label_drift": [fewer, more, slowly],
    "concept_drift": [flipped, everywhere, bent],
    "new_class": [unknown_class, unknown_two, unknown_rare],
}
