# ruff: noqa: D401 - an injector says what happens
"""Incidents that figures are reported on: none of them was looked at while thresholds were set."""

from __future__ import annotations

import numpy as np
import polars as pl
from episodes import Injector, Scene


def _floats(scene: Scene) -> list[str]:
    return [c for c in scene.weights if scene.reference[c].dtype.is_float()]


def sentinel(scene: Scene) -> None:
    """A quarter of a sensor's values become a code for none."""
    column = _floats(scene)[0]
    scene.subject = column
    bad = scene.hit & (scene.rng.random(scene.stream.height) < 0.6)
    scene.stream = scene.stream.with_columns(
        pl.when(pl.Series(bad)).then(-9999.0).otherwise(pl.col(column)).alias(column)
    )


def late_by_some(scene: Scene) -> None:
    """A column's values arrive with rows that came later."""
    column = _floats(scene)[0]
    scene.subject = column
    delayed = scene.stream[column].shift(5).fill_null(strategy="backward")
    scene.stream = scene.stream.with_columns(
        pl.when(pl.Series(scene.hit)).then(delayed).otherwise(pl.col(column)).alias(column)
    )


def per_thousand(scene: Scene) -> None:
    """A column is divided by a thousand."""
    column = _floats(scene)[0]
    scene.subject = column
    scene.stream = scene.stream.with_columns(
        pl.when(pl.Series(scene.hit)).then(pl.col(column) / 1000).otherwise(pl.col(column)).alias(column)
    )


def holding(scene: Scene) -> None:
    """A column keeps its value for forty rows at a time."""
    column = _floats(scene)[0]
    scene.subject = column
    index = (np.arange(scene.stream.height) // 40) * 40
    held = scene.stream[column].gather(index)
    scene.stream = scene.stream.with_columns(
        pl.when(pl.Series(scene.hit)).then(held).otherwise(pl.col(column)).alias(column)
    )


def _planned(scene: Scene, change: pl.Expr, note: str) -> None:
    column = _floats(scene)[0]
    scene.subject = column
    scene.stream = scene.stream.with_columns(
        pl.when(pl.Series(scene.hit)).then(change).otherwise(pl.col(column)).alias(column)
    )
    scene.events.append({"window": scene.onset - 1, "type": "source change", "subject": column, "text": note})


def planned_factor(scene: Scene) -> None:
    """A source announces a unit sixty times smaller."""
    _planned(scene, pl.col(_floats(scene)[0]) * 60, "values will be given per minute")


def planned_scale(scene: Scene) -> None:
    """A source announces degrees of another kind."""
    column = _floats(scene)[0]
    _planned(
        scene,
        pl.col(column) * 2.2 + 3 * (float(np.std(scene.reference[column].to_numpy())) or 1.0),
        "other scale from the next release of the feed",
    )


def planned_kilo(scene: Scene) -> None:
    """A source announces thousands."""
    _planned(scene, pl.col(_floats(scene)[0]) / 250, "reported in units of 250")


def _recode(scene: Scene, body: str) -> None:
    scene.subject = _floats(scene)[0]
    head = scene.pipeline.replace("def features(raw: pl.DataFrame)", "def trained(raw: pl.DataFrame)")
    scene.live[f"{scene.onset:03d}.py"] = (
        f"{head}\n\ndef features(raw: pl.DataFrame) -> pl.DataFrame:\n    out = trained(raw)\n    name = {scene.subject!r}\n{body}\n    return out\n"  # noqa: E501
    )


def new_log(scene: Scene) -> None:
    """Code takes a logarithm that training did not take."""
    _recode(scene, "    out = out.with_columns((pl.col(name).abs() + 1).log().alias(name))")


def new_batch(scene: Scene) -> None:
    """Code standardises by the rows of the batch."""
    _recode(
        scene,
        "    out = out.with_columns(((pl.col(name) - pl.col(name).mean()) / (pl.col(name).std() + 1e-9)).alias(name))",
    )


def new_order(scene: Scene) -> None:
    """Code hands a feature on from the row before the row before."""
    _recode(scene, "    out = out.with_columns(pl.col(name).reverse().alias(name))")


def _refit(scene: Scene, body: str) -> None:
    head = scene.pipeline.replace(
        "def fit(features: pl.DataFrame, target: pl.Series):", "def proper(features, target):"
    )
    scene.live[f"{scene.onset:03d}.fit.py"] = (
        f"{head}\n\ndef fit(features: pl.DataFrame, target: pl.Series):\n{body}\n"
    )


def refit_constant(scene: Scene) -> None:
    """A version that has one answer."""
    kind = (
        "DummyClassifier(strategy='prior')" if scene.source.task == "classification" else "DummyRegressor()"
    )
    _refit(
        scene,
        f"    from sklearn import dummy\n    return dummy.{kind}.fit(features.to_numpy(), target.to_numpy())",
    )


def refit_wrong_column(scene: Scene) -> None:
    """A version whose most important feature was blanked in training."""
    column = _floats(scene)[0]
    _refit(scene, f"    return proper(features.with_columns(pl.lit(0.0).alias({column!r})), target)")


def refit_slice(scene: Scene) -> None:
    """A version that learnt from one side of a column only."""
    column = _floats(scene)[0]
    _refit(
        scene,
        f"    low = (features[{column!r}] <= features[{column!r}].quantile(0.3)).to_numpy()\n"
        "    low[:60] = True\n    return proper(features.filter(low), target.filter(low))",
    )


def _weighted(scene: Scene, keep: np.ndarray) -> None:
    scene.keep(~scene.hit | (scene.rng.random(len(keep)) < keep))


def band(scene: Scene) -> None:
    """Rows of the upper third of an important column, nearly alone."""
    column = _floats(scene)[0]
    cut = float(scene.reference[column].quantile(0.67) or 0.0)
    _weighted(scene, np.where(scene.stream[column].to_numpy() > cut, 1.0, 0.1))


def two_sided(scene: Scene) -> None:
    """Rows low in two columns become frequent."""
    rank = np.mean(
        [scene.stream[c].rank().to_numpy() / scene.stream.height for c in _floats(scene)[:2]], axis=0
    )
    _weighted(scene, np.exp(-5 * rank))


def principal(scene: Scene) -> None:
    """Rows on one side along the direction of most variance."""
    names = _floats(scene)
    known = scene.reference.select(names).to_numpy()
    scale = known.std(axis=0) + 1e-9
    _, _, axes = np.linalg.svd((known - known.mean(axis=0)) / scale, full_matrices=False)
    along = ((scene.stream.select(names).to_numpy() - known.mean(axis=0)) / scale) @ axes[0]
    _weighted(scene, 1 / (1 + np.exp(-3 * along / along.std())))


def _side(scene: Scene) -> np.ndarray:
    target = scene.stream[scene.source.target]
    if scene.source.task == "regression":
        return (target.rank().to_numpy() / target.len()) > 0.6
    every = scene.reference[scene.source.target].unique().sort().to_list()
    return np.isin(target.to_numpy(), every[len(every) // 2 :])


def tenth(scene: Scene) -> None:
    """Nine of ten high targets stay away."""
    _weighted(scene, np.where(_side(scene), 0.1, 1.0))


def fifth(scene: Scene) -> None:
    """Four of five low targets stay away."""
    _weighted(scene, np.where(_side(scene), 1.0, 0.2))


def eighth(scene: Scene) -> None:
    """Seven of eight high targets stay away."""
    _weighted(scene, np.where(_side(scene), 0.12, 1.0))


def _replace(scene: Scene, rows: np.ndarray) -> None:
    name = scene.source.target
    target = scene.stream[name]
    if scene.source.task == "regression":
        values = target.to_numpy().astype(float)
        middle = float(np.median(scene.reference[name].to_numpy()))
        scene.put(name, np.where(rows, 2 * middle - values, values), clean=True)
        return
    every = scene.reference[name].unique().sort().to_list()
    turned = dict(zip(every, every[::-1], strict=True))
    scene.put(
        name,
        pl.Series(
            name,
            [turned[v] if r else v for v, r in zip(target.to_list(), rows, strict=True)],
            dtype=target.dtype,
        ),
        clean=True,
    )


def mirrored(scene: Scene) -> None:
    """Targets are mirrored for rows in the upper half of a column."""
    column = _floats(scene)[0]
    _replace(
        scene,
        scene.hit & (scene.stream[column].to_numpy() > float(np.median(scene.reference[column].to_numpy()))),
    )


def random_rule(scene: Scene) -> None:
    """Targets are mirrored on one side of a random plane."""
    names = _floats(scene)[:4]
    z = np.column_stack([scene.stream[c].rank().to_numpy() / scene.stream.height - 0.5 for c in names])
    _replace(scene, scene.hit & (z @ scene.rng.normal(size=len(names)) > 0))


def growing(scene: Scene) -> None:
    """Targets are mirrored for ever more rows over four windows."""
    column = _floats(scene)[0]
    share = np.clip((scene.windows - scene.onset + 1) / 4, 0, 1) * 0.6
    _replace(scene, scene.hit & (scene.stream[column].rank().to_numpy() / scene.stream.height < share))


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
    scene.keep(scene.hit | (scene.stream[name] != hidden).to_numpy())


INJECTORS: dict[str, list[Injector]] = {
    "input_fault": [sentinel, late_by_some, per_thousand, holding],
    "input_change": [planned_factor, planned_scale, planned_kilo],
    "pipeline_fault": [new_log, new_batch, new_order],
    "model_regression": [refit_constant, refit_wrong_column, refit_slice],
    "covariate_drift": [band, two_sided, principal],
    "label_drift": [tenth, fifth, eighth],
    "concept_drift": [mirrored, random_rule, growing],
    "new_class": [held_out, held_out_low, held_out_high],
}
