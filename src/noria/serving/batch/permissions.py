"""What callers may do with batch runs and named batches."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_BATCHES = Permission(name="batches.read")
RUN_BATCHES = Permission(name="batches.run", role=Role.SCIENTIST)
SWITCH_BATCHES = Permission(name="batches.switch", role=Role.ENGINEER)
