"""What callers may do with runs."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_RUNS = Permission(name="runs.read")
WRITE_RUNS = Permission(name="runs.write", role=Role.SCIENTIST)
FIND_RUNS = Permission(name="runs.find", roleless=True)
"""To look for something in all projects at once; what is found is only what `READ_RUNS` lets the caller see."""
