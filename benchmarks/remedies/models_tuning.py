"""Model families that thresholds were tuned on, as the text of a `pipeline.py`."""

from __future__ import annotations

import polars as pl

_TEXT = """
import polars as pl
{imports}
MIDDLE = {middle!r}
CODES = {codes!r}

def features(raw):
    numbers = [pl.col(c).cast(pl.Float64, strict=False).fill_null(m) for c, m in MIDDLE.items()]
    codes = [pl.col(c).replace_strict(known, default=-1, return_dtype=pl.Float64) for c, known in CODES.items()]
    return raw.select(*numbers, *codes)

def fit(features, target):
    return {model}.fit(features, target)
"""


def _text(reference: pl.DataFrame, target: str, imports: str, model: str) -> str:
    raw = reference.drop(target)
    middle = {c: raw[c].median() for c in raw.columns if raw[c].dtype.is_numeric()}
    codes = {
        c: {v: float(i) for i, v in enumerate(raw[c].drop_nulls().unique().sort())}
        for c in raw.columns
        if c not in middle
    }
    return _TEXT.format(imports=imports, middle=middle, codes=codes, model=model)


def linear(reference: pl.DataFrame, target: str, task: str) -> str:
    """Write a linear model on splines of scaled columns, so that it is about as good as trees."""
    name = "LogisticRegression(max_iter=300)" if task == "classification" else "Ridge()"
    imports = "\n".join(
        (
            f"from sklearn.linear_model import {name.partition('(')[0]}",
            "from sklearn.pipeline import make_pipeline",
            "from sklearn.preprocessing import SplineTransformer, StandardScaler",
        )
    )
    # Past the training rows splines go on as lines, as a plain linear model does.
    steps = "StandardScaler(), SplineTransformer(n_knots=5, degree=2, extrapolation='linear')"
    return _text(reference, target, imports, f"make_pipeline({steps}, {name})")


def boosting(reference: pl.DataFrame, target: str, task: str) -> str:
    """Write boosted trees."""
    name = "HistGradientBoostingClassifier" if task == "classification" else "HistGradientBoostingRegressor"
    return _text(
        reference, target, f"from sklearn.ensemble import {name}", f"{name}(max_iter=60, random_state=0)"
    )


PIPELINES = {"linear": linear, "boosting": boosting}
