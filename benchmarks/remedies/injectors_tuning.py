# ruff: noqa: D401 - an injector says what happens
"""Incidents that thresholds were tuned on: at least three ways for each cause."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from episodes import Injector, Scene
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def _numbers(scene: Scene, name: str) -> NDArray[np.float64]:
    return np.array(scene.stream[name].to_numpy(), dtype=float)


# Inputs that are wrong.


def unit(scene: Scene) -> None:
    """A column comes in another unit: feet for metres, millimetres for centimetres, cents for whole ones."""
    name = scene.numeric()
    values = _numbers(scene, name)
    scene.spoil(name, np.where(scene.hit, values * scene.of(3.28084, 10.0, 100.0), values))


def emptied(scene: Scene) -> None:
    """Many values of a column are missing."""
    name = scene.numeric()
    gone = scene.hit & (scene.rng.random(len(scene.windows)) < scene.of(0.4, 0.7, 0.95))
    values = [None if hit else value for hit, value in zip(gone, scene.stream[name].to_list(), strict=True)]
    scene.spoil(name, values, lost=gone)


def frozen(scene: Scene) -> None:
    """A column stands still, for a part of the rows or all."""
    name = scene.numeric()
    values = _numbers(scene, name)
    still = scene.hit & (scene.rng.random(len(values)) < scene.of(0.5, 0.8, 1.0))
    scene.spoil(name, np.where(still, values[np.flatnonzero(still)[0]], values), lost=still)


def misjoined(scene: Scene) -> None:
    """A column comes from other rows of the same window."""
    name = scene.numeric()
    values = _numbers(scene, name)
    moved = scene.hit & (scene.rng.random(len(values)) < scene.of(0.6, 0.8, 1.0))
    for window in np.unique(scene.windows[moved]):
        rows = np.flatnonzero(moved & (scene.windows == window))
        values[rows] = values[scene.rng.permutation(rows)]
    scene.spoil(name, values, lost=moved)


# Inputs that were changed by design.


def announced_unit(scene: Scene) -> None:
    """A column comes in another unit, as was announced."""
    name = scene.numeric()
    values = _numbers(scene, name)
    scene.spoil(name, np.where(scene.hit, values * scene.of(10.0, 100.0, 1000.0), values))
    _announce(scene, "is delivered in a smaller unit from now on")


def announced_offset(scene: Scene) -> None:
    """A column counts from another origin by another step, as was announced."""
    name = scene.numeric()
    values = _numbers(scene, name)
    moved = values * 1.8 + scene.of(1.0, 2.0, 4.0) * np.nanstd(values)
    scene.spoil(name, np.where(scene.hit, moved, values))
    _announce(scene, "switched to the new scale")


def announced_negation(scene: Scene) -> None:
    """A column counts the other way, as was announced."""
    name = scene.numeric()
    values = _numbers(scene, name)
    scene.spoil(name, np.where(scene.hit, -values, values))
    _announce(scene, "has a new sign convention")


def _announce(scene: Scene, what: str) -> None:
    column = scene.subjects[-1]
    scene.events.append(
        {"window": scene.onset, "type": "schema", "subject": column, "text": f"{column} {what}"}
    )


# Code that is wrong.


def code_scale(scene: Scene) -> None:
    """New code divides a feature."""
    _code(scene, f"found = found.with_columns(pl.col(NAME) / {scene.of(3.0, 10.0, 60.0)})")


def code_zero(scene: Scene) -> None:
    """New code loses features."""
    lost = scene.numbers()[: int(scene.of(1, 2, 4))]
    _code(scene, f"found = found.with_columns(pl.lit(0.0).alias(name) for name in {lost!r})")
    scene.subjects += lost[1:]


def code_swap(scene: Scene) -> None:
    """New code exchanges two features."""
    others = scene.numbers()[1:]
    if not others:
        raise ValueError("no second column of numbers is left to exchange")
    other = others[0]
    _code(scene, f"found = found.with_columns(pl.col(NAME).alias({other!r}), pl.col({other!r}).alias(NAME))")
    scene.subjects.append(other)


def _code(scene: Scene, line: str) -> None:
    name = scene.numeric()
    text = scene.pipeline.replace("def features(raw):", "def _features(raw):")
    line = line.replace("NAME", repr(name))
    file = f"{scene.onset:03d}.py"
    scene.live[file] = (
        f"{text}\ndef features(raw):\n    found = _features(raw)\n    {line}\n    return found\n"
    )
    scene.subjects += [name, f"live/{file}"]


# Versions that are worse.


def fit_few(scene: Scene) -> None:
    """A new version learnt from a handful of rows."""
    n = int(scene.of(120, 60, 30))
    if scene.source.task == "regression":
        _fit(scene, f"return old(features.head({n}), target.head({n}))")
        return
    each = "rows.group_by('y', maintain_order=True).head(max(2, N // target.n_unique()))['row']"
    _fit(
        scene,
        "rows = features.with_row_index('row').select('row', target.alias('y'))\n    "
        f"first = {each.replace('N', str(n))}\n    return old(features[first], target[first])",
    )


def fit_noise(scene: Scene) -> None:
    """A new version learnt from labels of which a share was shuffled."""
    share = scene.of(0.5, 0.7, 0.9)
    _fit(
        scene,
        f"cut = int(target.len() * {share})\n    "
        "return old(features, pl.concat([target.head(cut).shuffle(1), target.tail(target.len() - cut)]))",
    )


def fit_blind(scene: Scene) -> None:
    """A new version of a kind that cannot learn it."""
    kind = "DecisionTreeClassifier" if scene.source.task == "classification" else "DecisionTreeRegressor"
    depth = int(scene.of(2, 1, 1))
    _fit(scene, f"from sklearn import tree\n    return tree.{kind}(max_depth={depth}).fit(features, target)")


def _fit(scene: Scene, body: str) -> None:
    text = scene.pipeline.replace("def fit(features, target):", "def old(features, target):")
    file = f"{scene.onset:03d}.fit.py"
    scene.live[file] = f"{text}\ndef fit(features, target):\n    {body}\n"
    scene.subjects.append(f"live/{file}")


# Rows are chosen by their inputs alone: labels given inputs stay.


def tilt(scene: Scene) -> None:
    """Rows with high values of an important column become frequent."""
    at = scene.of(0.2, 0.5, 0.9)
    _resample(scene, lambda z: 1 / (1 + np.exp(-4 * (z - at))))


def corner(scene: Scene) -> None:
    """Low values of an important column become nearly all."""
    rest = scene.of(0.3, 0.12, 0.03)
    _resample(scene, lambda z: np.where(z < -0.3, 1.0, rest))


def tails(scene: Scene) -> None:
    """The middle of an important column becomes rare."""
    rest = scene.of(0.35, 0.15, 0.04)
    _resample(scene, lambda z: np.where(np.abs(z) > 0.8, 1.0, rest))


def _resample(scene: Scene, share: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> None:
    name = scene.numeric()
    values, known = _numbers(scene, name), scene.reference[name].to_numpy().astype(float)
    z = (values - np.nanmean(known)) / max(float(np.nanstd(known)), 1e-9)
    scene.keep(~scene.hit | (scene.rng.random(len(z)) < share(np.nan_to_num(z))))


# Rows are chosen by their target alone: inputs given labels stay.


def fewer(scene: Scene) -> None:
    """One side of the target becomes rare."""
    _by_target(scene, scene.of(0.4, 0.2, 0.06), upper=True)


def more(scene: Scene) -> None:
    """The other side of the target becomes rare."""
    _by_target(scene, scene.of(0.4, 0.2, 0.06), upper=False)


def slowly(scene: Scene) -> None:
    """One side of the target becomes rare over three windows."""
    high = _high(scene)
    share = np.clip(1 - (scene.windows - scene.onset + 1) / 3, scene.of(0.35, 0.18, 0.05), 1.0)
    scene.keep(~scene.hit | ~high | (scene.rng.random(len(high)) < share))


def _by_target(scene: Scene, share: float, *, upper: bool) -> None:
    high = _high(scene)
    rare = high if upper else ~high
    scene.keep(~scene.hit | ~rare | (scene.rng.random(len(rare)) < share))


def _high(scene: Scene) -> Mask:
    target = scene.stream[scene.source.target]
    if scene.source.task == "regression":
        return np.asarray(target.to_numpy() > np.median(scene.reference[scene.source.target].to_numpy()))
    names = scene.reference[scene.source.target].unique().sort()
    return np.asarray(target.is_in(names[: max(1, len(names) // 2)].implode()).to_numpy())


# Targets change by a rule on inputs: inputs stay, labels given inputs do not.


def flipped(scene: Scene) -> None:
    """Targets of a part of the world become others."""
    name = scene.numeric()
    cut = float(scene.reference[name].quantile(scene.of(0.75, 0.6, 0.45)) or 0.0)
    _retarget(scene, scene.hit & (_numbers(scene, name) > cut))


def everywhere(scene: Scene) -> None:
    """Targets of many rows become others, by a rule on two columns."""
    one, two = scene.numbers()[:2]
    a, b = (scene.stream[c].rank("ordinal").to_numpy() / scene.stream.height for c in (one, two))
    _retarget(scene, scene.hit & (a + b > scene.of(1.3, 1.1, 0.8)))


def bent(scene: Scene) -> None:
    """Targets depend on an important column otherwise."""
    rank = scene.stream[scene.numeric()].rank("ordinal").to_numpy() / scene.stream.height
    low, high = scene.of(0.1, 0.15, 0.25), scene.of(0.85, 0.75, 0.6)
    _retarget(scene, scene.hit & ((rank < low) | (rank > high)))


def _retarget(scene: Scene, rows: Mask) -> None:
    name = scene.source.target
    target = scene.stream[name]
    if scene.source.task == "regression":
        values = target.to_numpy().astype(float)
        scene.retarget(np.where(rows, values + 1.2 * np.std(values), values))
        return
    names = scene.reference[name].unique().sort().to_list()
    after = {value: names[(i + 1) % len(names)] for i, value in enumerate(names)}
    scene.retarget([after[v] if hit else v for v, hit in zip(target.to_list(), rows, strict=True)])


# Classes that training did not hold.


def unknown_class(scene: Scene) -> None:
    """A class that was left out of training appears."""
    _leave_out(scene, scene.reference[scene.source.target].unique().sort()[-1:])


def unknown_two(scene: Scene) -> None:
    """Two classes that were left out of training appear."""
    _leave_out(scene, scene.reference[scene.source.target].unique().sort()[:2])


def unknown_rare(scene: Scene) -> None:
    """A class that was left out of training appears, and another becomes rare."""
    unknown_class(scene)
    kept = scene.reference[scene.source.target].unique().sort()[0]
    is_kept = (scene.stream[scene.source.target] == kept).to_numpy()
    scene.keep(~scene.hit | ~is_kept | (scene.rng.random(len(is_kept)) < 0.4))


def _leave_out(scene: Scene, names: pl.Series) -> None:
    target = pl.col(scene.source.target)
    scene.reference = scene.reference.filter(~target.is_in(names.implode()))
    new = scene.stream.select(target.is_in(names.implode())).to_series().to_numpy()
    some = scene.rng.random(len(new)) < scene.of(0.4, 0.7, 1.0)
    scene.keep(~new | (scene.hit & some))


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
