"""The steps of each strategy: which there are, and what they make of an endpoint. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from noria.core.config import Section
from noria.core.errors import Invalid
from noria.serving.entities import (
    ApprovalPoint,
    Approvals,
    NotNegative,
    Rollout,
    RolloutStep,
    Share,
    Strategy,
    Weight,
)
from noria.serving.gate_rules import Gates

LOADING = -1
"""Index of the step before the first, in which the model servers load the new version."""


class RolloutSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[rollouts]`: what a rollout does unless its deployment says otherwise.

    Attributes
    ----------
    weights
        Share of the new version at each step of a canary.
    mirrored
        Share of the requests that the new version of a blue-green or shadow rollout predicts along.
    ab_weight
        Share of the new version in an A/B rollout.
    bake_s, min_requests
        Of every step.
    patience_s
        Seconds for which a step may stay undecided before it is rolled back; without it, it waits.
    keep_warm_s
        Seconds for which the version before stays loaded after a promotion, to go back to at once.
    gates
        Table `[rollouts.gates]`.
    approvals
        Table `[rollouts.approvals]`; a deployment can ask for more, not for less.
    """

    weights: list[float] = msgspec.field(default_factory=lambda: [0.1, 0.5])
    mirrored: Weight = 1.0
    ab_weight: Weight = 0.5
    bake_s: float = 60.0
    min_requests: int = 100
    patience_s: float | None = None
    keep_warm_s: NotNegative = 600.0
    gates: Gates = Gates()
    approvals: Approvals | None = None

    def steps(
        self, strategy: Strategy = Strategy.CANARY, weights: Sequence[float] | None = None
    ) -> list[RolloutStep]:
        """Give the steps that these settings describe, or those of other weights.

        A blue-green rollout first compares, and then watches the new version answer every request.
        """
        if weights:
            watches = strategy is Strategy.BLUE_GREEN and len(weights) == 1
            return self._steps([*weights, 1.0] if watches else weights)
        chosen: dict[Strategy, Sequence[float]] = {
            Strategy.REPLACE: [],
            Strategy.CANARY: self.weights,
            Strategy.BLUE_GREEN: [self.mirrored, 1.0],
            Strategy.SHADOW: [self.mirrored],
            Strategy.AB: [self.ab_weight],
        }
        return self._steps(chosen[strategy])

    def _steps(self, weights: Sequence[float]) -> list[RolloutStep]:
        return [
            RolloutStep(weight=weight, bake_s=self.bake_s, min_requests=self.min_requests)
            for weight in weights
        ]


def check_steps(steps: Sequence[RolloutStep], strategy: Strategy = Strategy.CANARY) -> None:
    """Refuse steps that do not lead anywhere, or not where the strategy leads.

    Raises
    ------
    Invalid
        If there is none or too many, a weight is not above the one before it or is above 1, or a bake time is not a
        time.
    """
    if strategy is Strategy.REPLACE:
        return
    if not steps:
        raise Invalid("A rollout needs at least one step", hint="Give `steps`, or strategy `replace`")
    for index, step in enumerate(steps):
        if not 0 <= step.bake_s < float("inf") or step.min_requests < 0:
            raise Invalid(
                f"Step {index + 1} cannot last {step.bake_s:g} s or need {step.min_requests} requests"
            )
    if strategy is Strategy.CANARY:
        _check_growth(steps)
    else:
        _check_form(steps, strategy)


def _check_growth(steps: Sequence[RolloutStep]) -> None:
    previous = 0.0
    for index, step in enumerate(steps):
        if not previous < step.weight <= 1:
            raise Invalid(
                f"Step {index + 1} has the weight {step.weight:g}, which is not above {previous:g} and at most 1",
                hint="Weights of a canary grow from step to step, from above 0 to at most 1",
            )
        previous = step.weight


def _check_form(steps: Sequence[RolloutStep], strategy: Strategy) -> None:
    most = 2 if strategy is Strategy.BLUE_GREEN else 1
    if len(steps) > most:
        raise Invalid(
            f"A rollout of strategy `{strategy.value}` has {most} step{'s' if most > 1 else ''}, not {len(steps)}",
            hint="Give one `--weight`; shares that grow are strategy `canary`",
        )
    first = steps[0].weight
    if not 0 < first <= 1 or (strategy is Strategy.AB and first == 1):
        bound = "below 1, so that both versions answer" if strategy is Strategy.AB else "at most 1"
        raise Invalid(
            f"The weight {first:g} of a rollout of strategy `{strategy.value}` must be above 0 and {bound}"
        )
    if len(steps) == 2 and steps[1].weight != 1:
        raise Invalid(
            f"The second step of a blue-green rollout has the weight {steps[1].weight:g}, not 1",
            hint="After the switch the new version answers every request",
        )


def answered(rollout: Rollout, step: int) -> float:
    """Give the share of the requests that the new version answers in a step."""
    if step == LOADING or (rollout.strategy.is_mirrored and step == 0):
        return 0.0
    return rollout.steps[step].weight


def mirrored(rollout: Rollout, step: int) -> float:
    """Give the share of the requests that the new version predicts while the old one answers."""
    return rollout.steps[0].weight if rollout.strategy.is_mirrored and step == 0 else 0.0


def shares_at(rollout: Rollout, step: int) -> list[Share]:
    """Give the shares of a step; before the first one the new version is loaded and gets nothing."""
    weight = answered(rollout, step)
    if rollout.from_version is None:
        return [Share(version=rollout.to_version, weight=1.0)]
    return [
        Share(version=rollout.from_version, weight=round(1.0 - weight, 12)),
        Share(version=rollout.to_version, weight=weight),
    ]


def shadows_at(rollout: Rollout, step: int) -> list[Share]:
    """Give the versions that predict along in a step."""
    share = mirrored(rollout, step)
    return [Share(version=rollout.to_version, weight=share)] if share else []


def n_lacking(rollout: Rollout, point: ApprovalPoint) -> int:
    """Give how many approvals are lacking before the rollout may begin or switch."""
    asked = rollout.approvals
    return 0 if asked is None or asked.before is not point else max(0, asked.n - len(rollout.approved))


def stricter(first: Approvals | None, second: Approvals | None) -> Approvals | None:
    """Give approvals that satisfy both who asks for the first and who asks for the second."""
    if first is None or second is None:
        return first or second
    return Approvals(
        n=max(first.n, second.n),
        role=max(first.role, second.role, key=lambda role: role.rank),
        before=ApprovalPoint.START if ApprovalPoint.START in (first.before, second.before) else first.before,
    )
