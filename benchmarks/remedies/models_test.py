"""Model families that figures are reported on, as the text of a `pipeline.py`."""

from __future__ import annotations

import polars as pl

_TEXT = """
import numpy as np
import polars as pl
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import QuantileTransformer
{imports}

NUMBERS = {numbers!r}
LEVELS = {levels!r}

def features(raw: pl.DataFrame) -> pl.DataFrame:
    out = {{}}
    for name in NUMBERS:
        out[name] = raw[name].cast(pl.Float64, strict=False)
    for name, levels in LEVELS.items():
        for level in levels:
            out[name + "=" + level] = (raw[name].fill_null("") == level).cast(pl.Float64)
    return pl.DataFrame(out)

def fit(features: pl.DataFrame, target: pl.Series):
    steps = [("fill", SimpleImputer(keep_empty_features=True)), {steps}]
    return Pipeline(steps).fit(features.to_numpy(), target.to_numpy())
"""


def _text(reference: pl.DataFrame, target: str, imports: str, steps: str) -> str:
    raw = reference.drop(target)
    numbers = [c for c in raw.columns if raw[c].dtype.is_numeric()]
    levels = {c: sorted(raw[c].drop_nulls().unique()) for c in raw.columns if c not in numbers}
    return _TEXT.format(imports=imports, numbers=numbers, levels=levels, steps=steps)


def forest(reference: pl.DataFrame, target: str, task: str) -> str:
    """Write a forest."""
    name = "RandomForestClassifier" if task == "classification" else "RandomForestRegressor"
    return _text(
        reference,
        target,
        f"from sklearn.ensemble import {name}",
        f"('model', {name}(40, min_samples_leaf=3, random_state=1))",
    )


def neighbours(reference: pl.DataFrame, target: str, task: str) -> str:
    """Write nearest neighbours on ranks."""
    name = "KNeighborsClassifier" if task == "classification" else "KNeighborsRegressor"
    return _text(
        reference,
        target,
        f"from sklearn.neighbors import {name}",
        f"('ranks', QuantileTransformer(n_quantiles=100)), ('model', {name}(15))",
    )


PIPELINES = {"forest": forest, "neighbours": neighbours}
