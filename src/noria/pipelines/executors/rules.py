"""Which steps of a run are executed whatever is known."""

from __future__ import annotations

import msgspec

from noria.core.errors import Invalid, near
from noria.pipelines.resuming import Before


class CallRules(msgspec.Struct, frozen=True, kw_only=True):
    """Which steps run whatever is known.

    Attributes
    ----------
    force
        Every one.
    again
        Those of these names, and whatever depends on what they make.
    before
        What the run had done before it was resumed.
    """

    force: bool = False
    again: frozenset[str] = frozenset()
    before: Before = msgspec.field(default_factory=Before)

    def forced(self, *, again: bool) -> str | None:
        """Say why a step runs whatever is known; None when it need not."""
        if self.force:
            return "forced"
        return f"forced from {', '.join(f'`{name}`' for name in sorted(self.again))} on" if again else None

    def require_called(self, called: set[str]) -> None:
        """Refuse a name that no step has that was called.

        Raises
        ------
        Invalid
            With the near name.
        """
        for name in sorted(self.again - called):
            close = near(name, called)
            raise Invalid(
                f"`--from {name}` names no step that the run called",
                hint=f"Did you mean `{close}`?" if close else f"It called: {', '.join(sorted(called))}",
            )
