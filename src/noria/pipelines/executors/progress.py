"""Who is told what the steps of a run do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from noria.pipelines.entities import StepReport


class Progress(Protocol):
    """Is told what happens while it happens."""

    def started(self, name: str, position: int) -> None:
        """Take in that a step begins to run."""
        ...

    def ended(self, report: StepReport) -> None:
        """Take in that a step ended, or that its result was found."""
        ...


class Silent:
    """Tells nobody."""

    def started(self, name: str, position: int) -> None:
        """Do nothing."""

    def ended(self, report: StepReport) -> None:
        """Do nothing."""
