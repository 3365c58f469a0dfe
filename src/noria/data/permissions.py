"""What callers may do with datasets."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_DATA = Permission(name="data.read")
WRITE_DATA = Permission(name="data.write", role=Role.SCIENTIST)
