"""How large a regression's errors are on rows without labels, by a model of its loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import Invalid
from noria.core.stats.samples import LARGEST, Floats, is_missing, one_sample

MOST_COLUMNS: Final = 100
N_MODELS: Final = 20
_DRAWS: Final = 10
_CATEGORIES: Final = 50
_LEAST_SHARE: Final = 0.01
"""Of the mean loss; an expected loss below it counts as this, so that no row's error is infinitely larger."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossModel:
    """What is known of a model's absolute error.

    Attributes
    ----------
    columns
        Names of the inputs, in order; the prediction comes after them.
    categories
        Of the columns that are no numbers: the values that have a code.
    models
        Fitted on resamples of the held-out rows.
    ratios : ndarray, shape (n_rows,)
        Absolute error of each held-out row over what models that had not seen the row expected.
    least
        Least expected loss of a row, in units of the target.
    """

    columns: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    models: tuple[Any, ...]
    ratios: Floats
    least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedLoss:
    """Mean absolute error in units of the target, with the interval in which it lies once labels come."""

    value: float
    low: float
    high: float


def fit_loss_model(
    inputs: Mapping[str, NDArray[Any]], predicted: Floats, actual: Floats, *, rng: np.random.Generator
) -> LossModel:
    """Learn how large the absolute error is, given inputs and prediction.

    Parameters
    ----------
    inputs
        Columns of held-out rows by name, each of shape (n_rows,); missing values are allowed.
    predicted, actual : ndarray, shape (n_rows,)

    Raises
    ------
    Invalid
        If there are more than 100 columns, or predictions and targets are not finite numbers.

    Notes
    -----
    Twenty gradient-boosted models of Poisson deviance (which have the mean, and are positive) on resamples.
    """
    if len(inputs) > MOST_COLUMNS:
        raise Invalid(f"The error is modelled on at most {MOST_COLUMNS} columns, and there are {len(inputs)}")
    one_sample(predicted, name="predicted")
    losses, _ = one_sample(np.abs(np.asarray(actual, dtype=float) - predicted), name="errors")
    if len(losses) != len(predicted):
        raise Invalid("A held-out row has no prediction or no target")
    categories = {name: _common(column) for name, column in inputs.items() if column.dtype.kind not in "biuf"}
    rows = _matrix(inputs, tuple(inputs), categories, predicted)
    models, expected = _bagged(rows, losses, rng)
    least = _LEAST_SHARE * float(losses.mean())
    known = ~np.isnan(expected)
    held = np.maximum(expected[known], least)
    ratios = losses[known] / held if least > 0 else np.zeros(int(known.sum()))
    # The mean error is to come out right whatever the size of the row's expected error.
    overall = float(losses[known].sum() / held.sum()) if least > 0 else 0.0
    mean = float(ratios.mean()) if ratios.size else 0.0
    return LossModel(
        columns=tuple(inputs),
        categories=categories,
        models=models,
        ratios=ratios * (overall / mean) if mean else ratios,
        least=least,
    )


def estimate_loss(
    model: LossModel,
    inputs: Mapping[str, NDArray[Any]],
    predicted: Floats,
    *,
    rng: np.random.Generator,
    alpha: float = 0.05,
) -> EstimatedLoss:
    """Estimate the mean absolute error of rows whose target is not known.

    Direct loss estimation: each row's error is expected by the model of the loss, and their mean is the estimate.

    Parameters
    ----------
    inputs
        Columns by name; those of `model.columns` that are not there count as missing.
    predicted : ndarray, shape (n_rows,)
        Finite.
    alpha
        The interval covers 1 - alpha.

    Raises
    ------
    Invalid
        If there are no rows, or a prediction is infinite or missing.

    Notes
    -----
    Supposes that errors depend on inputs and prediction as they did on the held-out rows: concept drift cannot be seen.
    The interval is that of the mean error that will be measured on these very rows. Each draw takes one of the
    resampled models, and multiplies what it expects by ratios of held-out rows: errors are supposed to have one form,
    of different width.

    References
    ----------
    NannyML (2022). Direct loss estimation. Documentation, "How performance estimation works".
    """
    from threadpoolctl import threadpool_limits

    held, n_missing = one_sample(predicted, name="predicted")
    if n_missing:
        raise Invalid(f"{n_missing} rows have no prediction")
    rows = _matrix(inputs, model.columns, model.categories, held)
    # Threads that wait for each other on a busy machine make many small predictions tens of times slower.
    with threadpool_limits(limits=1):
        expected = [np.maximum(each.predict(rows), model.least) for each in model.models]
    mean_ratio = float(model.ratios.mean()) if model.ratios.size else 0.0
    draws = [
        float(np.mean(losses * rng.choice(model.ratios, size=len(losses)))) if model.ratios.size else 0.0
        for losses in expected
        for _ in range(_DRAWS)
    ]
    value = float(np.mean(expected)) * mean_ratio
    low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2])
    return EstimatedLoss(value=value, low=min(float(low), value), high=max(float(high), value))


def _bagged(rows: Floats, losses: Floats, rng: np.random.Generator) -> tuple[tuple[Any, ...], Floats]:
    """Fit models on resamples; gives them and what those that had not seen a row expect of it (NaN where all had)."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    n = len(losses)
    if not losses.any():  # a model that was never wrong: there is nothing to fit
        return (_Nothing(),), np.zeros(n)
    models: list[Any] = []
    totals, counts = np.zeros(n), np.zeros(n, dtype=np.int64)
    with threadpool_limits(limits=1):
        while len(models) < N_MODELS:
            drawn = rng.integers(n, size=n)
            if not losses[drawn].any():
                continue
            made = HistGradientBoostingRegressor(
                loss="poisson",
                max_iter=60,
                max_leaf_nodes=15,
                early_stopping=False,
                random_state=int(rng.integers(2**31)),
            ).fit(rows[drawn], losses[drawn])
            unseen = np.setdiff1d(np.arange(n), drawn)
            totals[unseen] += made.predict(rows[unseen]) if unseen.size else 0.0
            counts[unseen] += 1
            models.append(made)
    with np.errstate(invalid="ignore"):
        return tuple(models), totals / np.where(counts, counts, np.nan)


class _Nothing:
    """The model of a loss that is always 0."""

    def predict(self, rows: Floats) -> Floats:
        """Expect none."""
        return np.zeros(len(rows))


def _matrix(
    inputs: Mapping[str, NDArray[Any]],
    columns: Sequence[str],
    categories: Mapping[str, tuple[str, ...]],
    predicted: Floats,
) -> Floats:
    made: list[Floats] = []
    for name in columns:
        column = inputs.get(name)
        if column is None:
            made.append(np.full(len(predicted), np.nan))
        elif name in categories:
            codes = {value: float(code) for code, value in enumerate(categories[name])}
            made.append(np.array([codes.get(str(value), np.nan) for value in column.tolist()]))
        else:
            made.append(np.clip(column.astype(np.float64), -LARGEST, LARGEST))
    return np.column_stack([*made, predicted]).astype(np.float64)


def _common(column: NDArray[Any]) -> tuple[str, ...]:
    values, counts = np.unique(column[~is_missing(column)].astype(str), return_counts=True)
    return tuple(values[np.argsort(-counts, kind="stable")][:_CATEGORIES].tolist())
