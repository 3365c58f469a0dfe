"""The run that is active, apart from what runs can do, so that logging to it loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from noria.core.errors import Conflict

if TYPE_CHECKING:
    from noria.tracking.active import ActiveRun

active: ContextVar[ActiveRun | None] = ContextVar("noria_active_run", default=None)


def active_run() -> ActiveRun | None:
    """Give the run of the innermost `with noria.run()` block, or None."""
    return active.get()


def log(metrics: Mapping[str, Any], *, step: int | None = None) -> None:
    """Log values of metrics to the active run.

    Raises
    ------
    Conflict
        If there is none.
    """
    current = active.get()
    if current is None:
        raise Conflict("There is no active run to log to", hint="with noria.run(): noria.log(…)")
    current.log(metrics, step=step)
