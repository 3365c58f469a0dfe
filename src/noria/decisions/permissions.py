"""What callers may do with decisions."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_DECISIONS = Permission(name="decisions.read")
ANNOUNCE = Permission(name="decisions.announce", role=Role.SCIENTIST)
"""To say that inputs change by design."""
DECIDE = Permission(name="decisions.decide", role=Role.ENGINEER, key=True)
"""To start a decision or carry out its proposal: both may run a project's training code on a worker."""
