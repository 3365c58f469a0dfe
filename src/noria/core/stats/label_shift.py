"""How the mix of classes changed, estimated from predictions alone, without new labels."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from noria.core.errors import Invalid
from noria.core.stats.intervals import Interval
from noria.core.stats.samples import Floats, Ints, Texts, check_alpha, is_missing, labels
from noria.core.stats.tests import chi_squared


class ClassShare(msgspec.Struct, frozen=True, kw_only=True):
    """Share of one class in the reference, and its estimated share in the current rows."""

    label: str
    reference: float
    current: Interval

    @property
    def weight(self) -> float:
        """How much more frequent the class became: current over reference share."""
        return self.current.estimate / self.reference


class LabelShift(msgspec.Struct, frozen=True, kw_only=True):
    """Estimated shares of the classes among unlabelled rows.

    Attributes
    ----------
    classes
        In the order of their labels.
    p_value
        Of the chi-squared test that predictions have the same shares in both samples.
    """

    classes: tuple[ClassShare, ...]
    p_value: float
    n_reference: int
    n_current: int
    n_missing: int


def label_shift(
    reference_labels: ArrayLike,
    reference_predictions: ArrayLike,
    current_predictions: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 500,
    alpha: float = 0.05,
) -> LabelShift:
    """Estimate the shares of the classes among rows that have predictions but no labels.

    If only the mix of classes changed, each class is still confused as in the reference; so the shares are those that
    explain the current predictions through the reference's confusion matrix (black box shift estimation). Negative
    solutions are set to 0 and the shares made to sum to 1.

    Parameters
    ----------
    reference_labels, reference_predictions : array_like, shape (n_rows,)
        True and predicted classes of held-out rows; rows where one is missing are dropped.
    current_predictions : array_like, shape (m_rows,)
        Predicted classes now, by the same model.
    rng
        Source of the bootstrap resamples of both samples.
    n_resamples
        At least 100.

    Raises
    ------
    Invalid
        If a sample is empty, or the predictions cannot tell the classes apart (the confusion matrix is singular).

    Notes
    -----
    Assumes that X given Y is as before. A class that the reference does not have breaks it: look at `novelty` first.
    The intervals are percentile bootstrap ones.

    References
    ----------
    Lipton, Z., Wang, Y.-X. and Smola, A. (2018). Detecting and correcting for label shift with black box predictors.
    ICML.
    """
    check_alpha(alpha)
    if n_resamples < 100:
        raise Invalid(f"`n_resamples` must be at least 100, not `{n_resamples}`")
    truth, guesses, n_missing_pairs = _paired_labels(reference_labels, reference_predictions)
    now, n_missing = labels(current_predictions, name="current_predictions")
    known, confusion, predicted = _confusion(truth, guesses, now)
    estimate = _class_shares(confusion, predicted)
    drawn = _resampled_shares(confusion, predicted, n_resamples, rng)
    lower, upper = np.quantile(drawn, [alpha / 2, 1 - alpha / 2], axis=0)
    reference_share = confusion.sum(axis=0) / confusion.sum()
    classes = tuple(
        ClassShare(
            label=label,
            reference=float(reference_share[i]),
            current=Interval(
                estimate=float(estimate[i]),
                lower=float(lower[i]),
                upper=float(upper[i]),
                alpha=alpha,
                n=now.size,
            ),
        )
        for i, label in enumerate(known.tolist())
    )
    return LabelShift(
        classes=classes,
        p_value=chi_squared(guesses, now).p_value,
        n_reference=truth.size,
        n_current=now.size,
        n_missing=n_missing_pairs + n_missing,
    )


def _paired_labels(truth: ArrayLike, guesses: ArrayLike) -> tuple[Texts, Texts, int]:
    first, second = np.asarray(truth), np.asarray(guesses)
    if first.shape != second.shape or first.ndim != 1:
        raise Invalid(
            f"`reference_labels` has shape `{first.shape}` and `reference_predictions` has `{second.shape}`"
        )
    known = ~(is_missing(first) | is_missing(second))
    if not known.any():
        raise Invalid("`reference_labels` has no row with both a label and a prediction")
    clean_first, _ = labels(first[known], name="reference_labels")
    clean_second, _ = labels(second[known], name="reference_predictions")
    return clean_first, clean_second, int((~known).sum())


def _confusion(truth: Texts, guesses: Texts, now: Texts) -> tuple[Texts, Ints, Ints]:
    """Count predictions (rows) by true class (columns) in the reference, and predictions now."""
    if now.size == 0:
        raise Invalid("`current_predictions` has no values")
    known, columns = np.unique(truth, return_inverse=True)
    predicted_classes, rows = np.unique(np.concatenate([guesses, now]), return_inverse=True)
    confusion = np.zeros((predicted_classes.size, known.size), dtype=np.int64)
    np.add.at(confusion, (rows[: guesses.size], columns), 1)
    rates = confusion / confusion.sum(axis=0)
    if np.linalg.matrix_rank(rates, tol=1e-6) < known.size:
        raise Invalid(
            "The predictions cannot tell the classes apart: the confusion matrix is singular",
            hint="Use more reference rows, or a model that predicts each class at least sometimes",
            details={"classes": known.tolist()},
        )
    return known, confusion, np.bincount(rows[guesses.size :], minlength=predicted_classes.size)


def _class_shares(confusion: Ints | Floats, predicted: Ints | Floats) -> Floats:
    """Solve rates @ shares = predicted shares by least squares, over leading axes; then onto the simplex."""
    rates = confusion / np.maximum(confusion.sum(axis=-2, keepdims=True), 1)
    wanted = predicted / predicted.sum(axis=-1, keepdims=True)
    shares = np.clip((np.linalg.pinv(rates) @ wanted[..., np.newaxis])[..., 0], 0, None)
    total = shares.sum(axis=-1, keepdims=True)
    return np.asarray(np.where(total > 0, shares / np.where(total > 0, total, 1), 1 / shares.shape[-1]))


def _resampled_shares(confusion: Ints, predicted: Ints, n_resamples: int, rng: np.random.Generator) -> Floats:
    """Shares from resampled rows: rows drawn again are multinomial draws of their cells."""
    cells = confusion.ravel()
    confusions = rng.multinomial(cells.sum(), cells / cells.sum(), size=n_resamples)
    predictions = rng.multinomial(predicted.sum(), predicted / predicted.sum(), size=n_resamples)
    return _class_shares(confusions.reshape(n_resamples, *confusion.shape), predictions)
