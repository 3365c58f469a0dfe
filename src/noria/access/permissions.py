"""What callers may do with projects, users and tokens."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_PROJECTS = Permission(name="projects.read")
CREATE_PROJECTS = Permission(name="projects.create", role=Role.ADMIN)
