"""What callers may do with runs."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_RUNS = Permission(name="runs.read")
WRITE_RUNS = Permission(name="runs.write", role=Role.SCIENTIST)
