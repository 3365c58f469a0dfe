"""Give each of scikit-learn's 1,797 scanned digits one role for the whole run.

The images that a model is measured on at the end were never trained on, tried on or labelled before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

N_TRAINING = 430
N_QUIET = 160
N_LABELLED_ZEROS = 72
N_UNLABELLED_ZEROS = 9
NONZERO_PER_ZERO = 9  # the ten digits are about equally frequent
N_FINAL_ZEROS = 97
N_MIXED_LABELLED = 640
N_MIXED_UNLABELLED = 120
N_MIXED_FINAL = 300

Images = NDArray[np.float64]
Digits = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """Images of one role, shape (n, 64) with values 0 to 16, and their digits, shape (n,)."""

    x: Images
    y: Digits

    def __len__(self) -> int:
        return len(self.y)

    @property
    def n_zeros(self) -> int:
        """Images of the digit 0."""
        return int((self.y == 0).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Who is used for what.

    Attributes
    ----------
    training
        What the first model is trained on: the digits 1 to 9.
    quiet
        Traffic before the onset: the digits 1 to 9, labels arrive for all.
    labelled, unlabelled
        Traffic after the onset, with and without true labels: all ten digits, a tenth of them zeros.
    final
        Measured on at the end, in the natural mix of digits.
    final_zeros
        All zeros of the final part; `final` holds as many of them as the natural mix has.
    """

    training: Part
    quiet: Part
    labelled: Part
    unlabelled: Part
    final: Part
    final_zeros: Part


def assign(seed: int, *, zeros: bool = True) -> Roles:
    """Deal the images out.

    Parameters
    ----------
    zeros
        False leaves the digit 0 out of the traffic: nothing happens, and nothing should.
    """
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    zero, other = order[y[order] == 0], order[y[order] != 0]
    deal = _Dealer(x, y, seed)
    n_labelled = N_LABELLED_ZEROS * NONZERO_PER_ZERO
    n_unlabelled = N_UNLABELLED_ZEROS * NONZERO_PER_ZERO
    cuts = np.cumsum([N_TRAINING, N_QUIET, n_labelled, n_unlabelled])
    training, quiet, labelled, unlabelled, final = np.split(other, cuts)
    with_label, without_label, final_zero = np.split(zero, np.cumsum([N_LABELLED_ZEROS, N_UNLABELLED_ZEROS]))
    final_zero = final_zero[:N_FINAL_ZEROS]
    if zeros:
        labelled, unlabelled = np.r_[labelled, with_label], np.r_[unlabelled, without_label]
    natural = final_zero[: len(final) // NONZERO_PER_ZERO]
    return Roles(
        training=deal(training),
        quiet=deal(quiet),
        labelled=deal(labelled),
        unlabelled=deal(unlabelled),
        final=deal(np.r_[final, natural] if zeros else final),
        final_zeros=deal(final_zero),
    )


def assign_mixed(seed: int, *, n_training: int) -> Roles:
    """Deal all ten digits out, the same mix in every role."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    n_final = min(N_MIXED_FINAL, (len(y) - n_training - N_QUIET) // 3)
    n_unlabelled = N_MIXED_UNLABELLED
    n_labelled = min(N_MIXED_LABELLED, len(y) - n_training - N_QUIET - n_unlabelled - n_final)
    cuts = np.cumsum([n_training, N_QUIET, n_labelled, n_unlabelled, n_final])
    training, quiet, labelled, unlabelled, final, _ = np.split(order, cuts)
    return _dealt(x, y, seed, training, quiet, labelled, unlabelled, final)


def assign_shifted(seed: int, *, common: tuple[int, ...]) -> Roles:
    """Deal all ten digits out, and let nine of ten images after the onset be some digits only."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    training, quiet, rest = np.split(order, np.cumsum([N_TRAINING, N_QUIET]))
    frequent, rare = rest[np.isin(y[rest], common)], rest[~np.isin(y[rest], common)]
    n_rare = len(frequent) // NONZERO_PER_ZERO
    live = np.random.default_rng([seed, 2]).permutation(np.r_[frequent, rare[:n_rare]])
    labelled, unlabelled, final = np.split(live, [round(0.75 * len(live)), round(0.85 * len(live))])
    return _dealt(x, y, seed, training, quiet, labelled, unlabelled, final)


def _dealt(x: Any, y: Any, seed: int, *parts: Any) -> Roles:
    deal = _Dealer(x, y, seed)
    training, quiet, labelled, unlabelled, final = (deal(part) for part in parts)
    zeros = final.y == 0
    return Roles(
        training=training,
        quiet=quiet,
        labelled=labelled,
        unlabelled=unlabelled,
        final=final,
        final_zeros=Part(final.x[zeros], final.y[zeros]),
    )


class _Dealer:
    def __init__(self, x: Any, y: Any, seed: int) -> None:
        self._x, self._y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.int64)
        self._rng = np.random.default_rng([seed, 1])

    def __call__(self, rows: Any) -> Part:
        mixed = self._rng.permutation(rows)
        return Part(self._x[mixed], self._y[mixed])
