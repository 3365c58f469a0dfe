"""What callers may do with decision records."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_RECORDS = Permission(name="catalog.read")
WRITE_RECORDS = Permission(name="catalog.write", role=Role.SCIENTIST)
