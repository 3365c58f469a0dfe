"""What callers may do with monitors."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_MONITORS = Permission(name="monitors.read")
WRITE_MONITORS = Permission(name="monitors.write", role=Role.ENGINEER)
