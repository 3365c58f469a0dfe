"""The gates before aliases: what a version must have, asked in the transaction that would move the alias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from noria.core.errors import Conflict
from noria.registry.validation.entities import Gate, GateState, Lack, ValidationSection
from noria.registry.validation.judging import lacks_of
from noria.registry.validation.rows import load_standing

if TYPE_CHECKING:
    import sqlalchemy as sa

    from noria.core.context import Context
    from noria.registry.entities import ModelVersion

_MOST_SHOWN = 5


class GateClosed(Conflict):
    """The project asks more of a version before this alias may point at it."""

    code = "gate_closed"

    def __init__(self, ref: str, alias: str, lacks: Sequence[Lack]) -> None:
        shown = [lack.sentence for lack in lacks[:_MOST_SHOWN]]
        if len(lacks) > _MOST_SHOWN:
            shown.append(f"and {len(lacks) - _MOST_SHOWN} more")
        super().__init__(
            f"`{ref}` may not become `{alias}`: " + "; ".join(shown),
            hint=f"Try `{lacks[0].mend}`",
            details={"ref": ref, "alias": alias, "lacks": [lack.sentence for lack in lacks]},
        )


def settings_of(context: Context) -> ValidationSection:
    """Give the settings that count for gates: those of the workspace that holds the models."""
    return context.settings.section("validation", ValidationSection)


def gate_of(context: Context, project: str, model: str, alias: str) -> Gate | None:
    """Give the gate before an alias of a model; None when there is none."""
    gate = settings_of(context).gates.get(alias)
    return gate if gate is not None and gate.stands_before(project, model) else None


def state_of(
    context: Context, connection: sa.Connection, version: ModelVersion, alias: str, gate: Gate
) -> GateState:
    """Tell whether a gate is open for a version, and what it lacks."""
    settings = settings_of(context)
    standing = load_standing(connection, version, alias)
    lacks = lacks_of(gate, alias, settings.limits, settings.skip, standing)
    return GateState(
        alias=alias,
        is_open=not lacks,
        asks_approvals=bool(gate.approvals),
        lacks=lacks,
        approvals=standing.approvals,
    )


def check_gate(context: Context, connection: sa.Connection, version: ModelVersion, alias: str) -> None:
    """See that an alias may point at a version.

    Raises
    ------
    GateClosed
        If the version lacks what the gate asks for.
    """
    gate = gate_of(context, version.project, version.model, alias)
    if gate is None:
        return
    state = state_of(context, connection, version, alias, gate)
    if not state.is_open:
        raise GateClosed(version.ref, alias, state.lacks)
