"""Real data sets that come with scikit-learn: few rows, for a look whether everything runs."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from episodes import Source


def sources(_data: Path) -> list[Source]:
    """Read them; no folder is needed."""
    from sklearn.datasets import load_breast_cancer, load_diabetes

    diabetes, cancer = load_diabetes(scaled=False), load_breast_cancer()
    progress = pl.DataFrame(diabetes.data, schema=list(diabetes.feature_names)).with_columns(
        progress=pl.Series(diabetes.target)
    )
    names = [str(name).replace(" ", "_") for name in cancer.feature_names[:10]]
    kinds = pl.DataFrame(cancer.data[:, :10], schema=names).with_columns(benign=pl.Series(cancer.target))
    return [
        Source(
            name="diabetes",
            task="regression",
            metric="mae",
            target="progress",
            frame=progress,
            model="linear",
        ),
        Source(
            name="cancer",
            task="classification",
            metric="accuracy",
            target="benign",
            frame=kinds,
            model="linear",
        ),
    ]
