"""What callers may do with schedules."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_SCHEDULES = Permission(name="schedules.read")
APPLY_SCHEDULES = Permission(name="schedules.apply", role=Role.SCIENTIST, key=True)
"""To bind code that workers run from then on, also by pinning an earlier revision, and to see the secret of a
schedule's webhook."""

RUN_SCHEDULES = Permission(name="schedules.run", role=Role.SCIENTIST, key=True)
"""To start, stop, pause and resume what somebody applied."""

CALL_HOOK = Permission(name="schedules.call-hook", public=True)
"""Whoever can sign a call may make it."""
