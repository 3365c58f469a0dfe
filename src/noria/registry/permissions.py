"""What callers may do with models."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_MODELS = Permission(name="models.read")
REGISTER_MODELS = Permission(name="models.register", role=Role.SCIENTIST)
PROMOTE_MODELS = Permission(name="models.promote", role=Role.ENGINEER)
CONSENT_TO_PICKLES = Permission(name="models.consent", role=Role.ENGINEER, key=True)
VALIDATE_MODELS = Permission(name="models.validate", role=Role.SCIENTIST, key=True)
APPROVE_MODELS = Permission(name="models.approve", role=Role.SCIENTIST)
FIND_MODELS = Permission(name="models.find", roleless=True)
"""Search in all projects; what the caller may not read is left out."""
