"""What callers may do with models."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_MODELS = Permission(name="models.read")
REGISTER_MODELS = Permission(name="models.register", role=Role.SCIENTIST)
PROMOTE_MODELS = Permission(name="models.promote", role=Role.ENGINEER)
