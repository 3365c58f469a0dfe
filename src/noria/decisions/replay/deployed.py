"""A deployed model beside the one before it, on every row whose target is known: training rows and live ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noria.decisions.replay.case import Case, State, losses_under, ruling
from noria.decisions.replay.code_checks import CodeCheck
from noria.decisions.replay.outputs import Floats
from noria.decisions.replay.world import Path

_FEWEST = 20
_LEVEL = 0.00135
"""Of all looks at a version together: that of three standard errors, one-sided, by which training rows are judged."""


def older_path(state: State) -> Path:
    """Give the path on which the model answers that answered before the newest deployed one.

    That may be one that an earlier incident put live. What was learnt about the answers of the newest is forgotten.
    """
    deployed = [d for d in state.world.deployments if d.model is not None]
    before = deployed[-2] if len(deployed) > 1 else None
    own = state.path.model
    if own is not None and state.path.model_at >= (before.window if before is not None else -1):
        older = own
    else:
        older = before.model if before is not None and before.model is not None else state.world.model
    known = bool(deployed) and state.path.calibrated_at < deployed[-1].window
    return replace(
        state.path,
        model=older,
        model_at=state.now,
        calibration=state.path.calibration if known else None,
    )


def watched(state: State, check: CodeCheck) -> CodeCheck:
    """Set a deployed model against the one before it on the live rows labelled since, and add what training rows said.

    Both are paired differences of losses, weighed by their precision. However often one looks, a version that is as
    good is called worse with a probability of `_LEVEL` at most: look k spends 1 / (k (k + 1)) of it.
    """
    from scipy.stats import norm

    if check.deployment.model is None or check.error or not check.differs or check not in ruling(state):
        return check
    parts = Case(onset=check.deployment.window, detected=state.now).labelled(state)
    if sum(len(rows) for _, rows in parts) < max(_FEWEST, check.n_live + 1):
        return check
    more = losses_under(state, state.path, parts) - losses_under(state, older_path(state), parts)
    se = float(more.std(ddof=1) / np.sqrt(len(more)))
    if not se:
        return check
    n_looks = check.n_looks + 1
    harm, harm_se = pooled((float(more.mean()), se), (check.harm, check.se))
    sure = harm > float(norm.isf(_LEVEL / (n_looks * (n_looks + 1)))) * harm_se
    return replace(check, n_live=len(more), n_looks=n_looks, worse_live=harm if sure else None)


def pooled(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Pool two estimates with their standard errors (or equal multiples of them) by their precision.

    An estimate whose error is not known (0) counts for nothing.
    """
    known = [each for each in (one, other) if each[1] > 0]
    weights = np.array([error**-2 for _, error in known])
    values: Floats = np.array([value for value, _ in known])
    return float(values @ weights / weights.sum()), float(weights.sum() ** -0.5)
