"""Find a small drop of quality in whole windows of labels, with a stated share of false alarms among quiet windows.

The detector of `detector` may be looked at after each label and needs no assumption, which costs it power: five points
take it thousands of labels. Here whole windows are compared with the held-out score: the newest one, the newest two
together, and the newest three, so that a quiet window raises a false alarm with at most the level that is stated. An
alarm needs a certain drop that is also a large one: more than the tolerated.

Labels that come one after the other may resemble each other. The spread of their mean is therefore taken from blocks of
25 consecutive labels where these vary more than blocks of independent labels would (batch means: Conway 1963), and the
error of the held-out score is part of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from noria.monitoring.entities import DropReport, LabelWindow, ScoredRow

SPANS: Final = 3
BLOCK: Final = 25
_FEWEST_BLOCKS: Final = 10
_LOOKS: Final = 2.57
"""Three tests that share labels raise as many false alarms as so many that do not, at levels of 0.001 and above.

With standard normal windows u, v, w the chance that u, (u + v)/√2 or (u + v + w)/√3 exceeds c is at most 2.57 times
that of u alone, by 20 million draws: 2.56 at 0.001, 2.47 at 0.005, 2.38 at 0.01.
"""


class DropRule(msgspec.Struct, frozen=True, kw_only=True):
    """When windows of labels show a drop.

    Attributes
    ----------
    size
        Labels in a window.
    level
        Most quiet windows, as a share, in which a false alarm is raised.
    margin
        Drop of the mean score that is tolerated.
    """

    size: int = 500
    level: float = 0.008
    margin: float = 0.02


class LabelWindows(msgspec.Struct, frozen=True, kw_only=True):
    """The newest whole windows, oldest first, and the one that is being filled."""

    whole: list[LabelWindow] = []
    open: LabelWindow | None = None


def take_in_windows(
    state: LabelWindows, rows: Sequence[ScoredRow], *, size: int
) -> tuple[LabelWindows, list[LabelWindows]]:
    """Take in newly labelled rows, oldest first.

    Parameters
    ----------
    size
        Labels in a window, at least 1.

    Returns
    -------
    The state after all rows, and the state after each window that they filled: each is to be judged.
    """
    filled = []
    for row in rows:
        opened = _with(state.open, row)
        state = msgspec.structs.replace(state, open=opened)
        if opened.n >= size:
            state = LabelWindows(whole=[*state.whole, opened][-SPANS:])
            filled.append(state)
    return state, filled


def find_drop(
    state: LabelWindows, rule: DropRule, *, reference: float, reference_n: int
) -> DropReport | None:
    """Tell whether the newest windows score less than the held-out rows, certainly and by more than is tolerated.

    Parameters
    ----------
    reference, reference_n
        Mean score on held-out rows, and how many there were.

    Notes
    -----
    A test of means of hundreds of scores in [0, 1], by their normal limit.
    """
    found = None
    for n_windows in range(1, len(state.whole) + 1):
        drop = _tested(state.whole[-n_windows:], reference, reference_n)
        if (
            drop.p_value <= rule.level
            and reference - drop.mean > rule.margin
            and (found is None or drop.p_value < found.p_value)
        ):
            found = drop
    return found


def _with(window: LabelWindow | None, row: ScoredRow) -> LabelWindow:
    if window is None:
        window = LabelWindow(first_position=row.position, last_position=row.position)
    block, n_in_block = window.block + row.score, (window.n % BLOCK) + 1
    is_full = n_in_block == BLOCK
    return LabelWindow(
        n=window.n + 1,
        total=window.total + row.score,
        squares=window.squares + row.score**2,
        block=0.0 if is_full else block,
        blocks=[*window.blocks, block] if is_full else window.blocks,
        first_position=min(window.first_position, row.position),
        last_position=max(window.last_position, row.position),
    )


def _tested(windows: Sequence[LabelWindow], reference: float, reference_n: int) -> DropReport:
    n = sum(window.n for window in windows)
    mean = math.fsum(window.total for window in windows) / n
    single = max(math.fsum(window.squares for window in windows) / n - mean**2, 0.25 / n)
    spread = _spread(single, [block for window in windows for block in window.blocks])
    error = math.sqrt(spread / n + single / max(1, reference_n))
    p_value = 0.5 * math.erfc((reference - mean) / error / math.sqrt(2))
    return DropReport(
        n=n,
        mean=mean,
        p_value=min(1.0, _LOOKS * p_value),
        first_position=min(window.first_position for window in windows),
        last_position=max(window.last_position for window in windows),
    )


def _spread(single: float, blocks: Sequence[float]) -> float:
    """Give the variance of a label, as large as it would be without dependence if the blocks vary as they do.

    Parameters
    ----------
    single
        Variance of single labels: it stands unless the blocks vary by two standard errors more.
    """
    if len(blocks) < _FEWEST_BLOCKS:
        return single
    mean = math.fsum(blocks) / len(blocks)
    of_blocks = math.fsum((block - mean) ** 2 for block in blocks) / (len(blocks) - 1) / BLOCK
    chance = 1 + 2 * math.sqrt(2 / (len(blocks) - 1))
    return of_blocks if of_blocks > chance * single else single
