# ruff: noqa: D401 - an injector says what happens
"""Incidents that figures are reported on: none of them was looked at while thresholds were set."""

from __future__ import annotations

import numpy as np
import polars as pl
from episodes import Injector, Scene
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _change(scene: Scene, change: pl.Expr, *, rows: NDArray[np.bool_], lost: bool) -> str:
    column = scene.numeric()
    values = scene.stream.select(
        pl.when(pl.Series(rows)).then(change).otherwise(pl.col(column)).alias(column)
    ).to_series()
    scene.spoil(column, values, lost=rows if lost else None)
    return column


# Inputs that are wrong.


def sentinel(scene: Scene) -> None:
    """A part of a sensor's values become a code for none."""
    share = scene.of(0.2, 0.4, 0.8)
    _change(
        scene, pl.lit(-9999.0), rows=scene.hit & (scene.rng.random(len(scene.windows)) < share), lost=True
    )


def late_by_some(scene: Scene) -> None:
    """A column's values arrive with rows that came later."""
    n = int(scene.of(1, 3, 5))
    _change(scene, pl.col(scene.numeric()).shift(n).backward_fill(), rows=scene.hit, lost=False)


def per_thousand(scene: Scene) -> None:
    """A column is divided by what a prefix stands for."""
    _change(scene, pl.col(scene.numeric()) / scene.of(4.0, 60.0, 1000.0), rows=scene.hit, lost=False)


def holding(scene: Scene) -> None:
    """A column keeps its value for many rows at a time."""
    step = int(scene.of(8, 20, 40))
    index = (np.arange(scene.stream.height) // step) * step
    held = pl.lit(scene.stream[scene.numeric()].gather(index))
    _change(scene, held, rows=scene.hit & (index != np.arange(len(index))), lost=True)


# Inputs that were changed by design.


def _planned(scene: Scene, change: pl.Expr, note: str) -> None:
    column = _change(scene, change, rows=scene.hit, lost=False)
    scene.events.append({"window": scene.onset - 1, "type": "source change", "subject": column, "text": note})


def planned_factor(scene: Scene) -> None:
    """A source announces a unit sixty times smaller."""
    _planned(scene, pl.col(scene.numeric()) * 60, "values will be given per minute")


def planned_scale(scene: Scene) -> None:
    """A source announces degrees of another kind."""
    column = scene.numeric()
    spread = float(np.nanstd(scene.reference[column].to_numpy())) or 1.0
    moved = pl.col(column) * 2.2 + scene.of(1.0, 2.0, 3.0) * spread
    _planned(scene, moved, "other scale from the next release of the feed")


def planned_parts(scene: Scene) -> None:
    """A source announces larger units."""
    by = scene.of(12.0, 250.0, 1000.0)
    _planned(scene, pl.col(scene.numeric()) / by, f"reported in units of {by:g}")


# Code that is wrong.


def _recode(scene: Scene, body: str) -> None:
    file = f"{scene.onset:03d}.py"
    name = scene.numeric()
    head = scene.pipeline.replace("def features(raw: pl.DataFrame)", "def trained(raw: pl.DataFrame)")
    scene.live[file] = (
        f"{head}\n\ndef features(raw: pl.DataFrame) -> pl.DataFrame:\n"
        f"    out = trained(raw)\n    name = {name!r}\n    {body}\n    return out\n"
    )
    scene.subjects += [name, f"live/{file}"]


def new_log(scene: Scene) -> None:
    """Code takes a logarithm that training did not take."""
    _recode(scene, "out = out.with_columns((pl.col(name).abs() + 1).log().alias(name))")


def new_batch(scene: Scene) -> None:
    """Code standardises by the rows of the batch."""
    _recode(
        scene,
        "out = out.with_columns(((pl.col(name) - pl.col(name).mean()) / (pl.col(name).std() + 1e-9)).alias(name))",
    )


def new_order(scene: Scene) -> None:
    """Code hands features on in another order of rows."""
    _recode(scene, "out = out.with_columns(pl.col(name).reverse().alias(name))")


# Versions that are worse.


def _refit(scene: Scene, body: str) -> None:
    file = f"{scene.onset:03d}.fit.py"
    head = scene.pipeline.replace(
        "def fit(features: pl.DataFrame, target: pl.Series):", "def proper(features, target):"
    )
    scene.live[file] = f"{head}\n\ndef fit(features: pl.DataFrame, target: pl.Series):\n    {body}\n"
    scene.subjects.append(f"live/{file}")


def refit_constant(scene: Scene) -> None:
    """A version that has one answer."""
    kind = (
        "DummyClassifier(strategy='prior')" if scene.source.task == "classification" else "DummyRegressor()"
    )
    _refit(
        scene,
        f"from sklearn import dummy\n    return dummy.{kind}.fit(features.to_numpy(), target.to_numpy())",
    )


def refit_wrong_column(scene: Scene) -> None:
    """A version whose most important features were blanked in training."""
    columns = scene.numbers()[: int(scene.of(1, 2, 3))]
    _refit(scene, f"return proper(features.with_columns(pl.lit(0.0).alias(c) for c in {columns!r}), target)")


def refit_slice(scene: Scene) -> None:
    """A version that learnt from one side of a column only."""
    column = scene.numeric()
    share = scene.of(0.5, 0.3, 0.15)
    _refit(
        scene,
        f"low = (features[{column!r}] <= features[{column!r}].quantile({share})).to_numpy()\n"
        "    low[:60] = True\n    return proper(features.filter(low), target.filter(low))",
    )


# Rows are chosen by their inputs alone: labels given inputs stay.


def _weighted(scene: Scene, keep: Floats) -> None:
    scene.keep(~scene.hit | (scene.rng.random(len(keep)) < keep))


def band(scene: Scene) -> None:
    """Rows of the upper third of an important column, nearly alone."""
    column = scene.numeric()
    cut = float(scene.reference[column].quantile(0.67) or 0.0)
    _weighted(scene, np.where(scene.stream[column].to_numpy() > cut, 1.0, scene.of(0.3, 0.12, 0.03)))


def two_sided(scene: Scene) -> None:
    """Rows low in two columns become frequent."""
    ranks = [scene.stream[c].rank().to_numpy() / scene.stream.height for c in scene.numbers()[:2]]
    _weighted(scene, np.exp(-scene.of(2.0, 3.5, 6.0) * np.mean(ranks, axis=0)))


def principal(scene: Scene) -> None:
    """Rows on one side along the direction of most variance."""
    names = scene.numbers()
    known = scene.reference.select(names).to_numpy()
    scale = known.std(axis=0) + 1e-9
    _, _, axes = np.linalg.svd((known - known.mean(axis=0)) / scale, full_matrices=False)
    along = ((scene.stream.select(names).to_numpy() - known.mean(axis=0)) / scale) @ axes[0]
    _weighted(scene, 1 / (1 + np.exp(-scene.of(1.5, 3.0, 5.0) * along / along.std())))


# Rows are chosen by their target alone: inputs given labels stay.


def _side(scene: Scene) -> NDArray[np.bool_]:
    name = scene.source.target
    if scene.source.task == "regression":
        return scene.stream[name].to_numpy() > float(scene.reference[name].quantile(0.6) or 0.0)
    every = scene.reference[name].unique().sort().to_list()
    return np.isin(scene.stream[name].to_numpy(), every[len(every) // 2 :])


def high_away(scene: Scene) -> None:
    """Most high targets stay away."""
    _weighted(scene, np.where(_side(scene), scene.of(0.4, 0.2, 0.07), 1.0))


def low_away(scene: Scene) -> None:
    """Most low targets stay away."""
    _weighted(scene, np.where(_side(scene), 1.0, scene.of(0.4, 0.2, 0.07)))


def ebbing(scene: Scene) -> None:
    """High targets halve from window to window, down to a floor."""
    share = np.maximum(0.5 ** (scene.windows - scene.onset + 1.0), scene.of(0.3, 0.15, 0.06))
    _weighted(scene, np.where(_side(scene), share, 1.0))


# Targets change by a rule on inputs: inputs stay, labels given inputs do not.


def _replace(scene: Scene, rows: NDArray[np.bool_]) -> None:
    name = scene.source.target
    target = scene.stream[name]
    if scene.source.task == "regression":
        values = target.to_numpy().astype(float)
        middle = float(np.median(scene.reference[name].to_numpy()))
        scene.retarget(np.where(rows, 2 * middle - values, values))
        return
    every = scene.reference[name].unique().sort().to_list()
    turned = dict(zip(every, every[::-1], strict=True))
    scene.retarget([turned[v] if r else v for v, r in zip(target.to_list(), rows, strict=True)])


def mirrored(scene: Scene) -> None:
    """Targets are mirrored for rows in an upper part of a column."""
    column = scene.numeric()
    cut = float(scene.reference[column].quantile(scene.of(0.8, 0.65, 0.5)) or 0.0)
    _replace(scene, scene.hit & (scene.stream[column].to_numpy() > cut))


def random_rule(scene: Scene) -> None:
    """Targets are mirrored on one side of a random plane."""
    names = scene.numbers()[:4]
    z = np.column_stack([scene.stream[c].rank().to_numpy() / scene.stream.height - 0.5 for c in names])
    along = z @ scene.rng.normal(size=len(names))
    _replace(scene, scene.hit & (along > np.quantile(along, scene.of(0.8, 0.65, 0.5))))


def growing(scene: Scene) -> None:
    """Targets are mirrored for ever more rows over four windows."""
    share = np.clip((scene.windows - scene.onset + 1) / 4, 0, 1) * scene.of(0.25, 0.4, 0.6)
    _replace(
        scene, scene.hit & (scene.stream[scene.numeric()].rank().to_numpy() / scene.stream.height < share)
    )


# Classes that training did not hold.


def held_out(scene: Scene) -> None:
    """The class of the middle was never trained on."""
    _hide(scene, 0.5)


def held_out_low(scene: Scene) -> None:
    """A low class was never trained on."""
    _hide(scene, 0.25)


def held_out_high(scene: Scene) -> None:
    """A high class was never trained on."""
    _hide(scene, 0.75)


def _hide(scene: Scene, place: float) -> None:
    name = scene.source.target
    every = scene.reference[name].unique().sort().to_list()
    hidden = every[int(place * len(every))]
    scene.reference = scene.reference.filter(pl.col(name) != hidden)
    is_hidden = (scene.stream[name] == hidden).to_numpy()
    scene.keep(~is_hidden | (scene.hit & (scene.rng.random(len(is_hidden)) < scene.of(0.4, 0.7, 1.0))))


INJECTORS: dict[str, list[Injector]] = {
    "input_fault": [sentinel, late_by_some, per_thousand, holding],
    "input_change": [planned_factor, planned_scale, planned_parts],
    "pipeline_fault": [new_log, new_batch, new_order],
    "model_regression": [refit_constant, refit_wrong_column, refit_slice],
    "covariate_drift": [band, two_sided, principal],
    "label_drift": [high_away, low_away, ebbing],
    "concept_drift": [mirrored, random_rule, growing],
    "new_class": [held_out, held_out_low, held_out_high],
}
