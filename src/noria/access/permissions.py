"""What callers may do with projects, users, tokens and the event log."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

LIST_PROJECTS = Permission(name="projects.list", roleless=True)
READ_PROJECTS = Permission(name="projects.read")
CREATE_PROJECTS = Permission(name="projects.create", role=Role.ADMIN)
MANAGE_USERS = Permission(name="users.manage", role=Role.ADMIN, key=True)
SET_PASSWORD = Permission(name="users.set-password", key=True, roleless=True)
MANAGE_TOKENS = Permission(name="tokens.manage", key=True, roleless=True)
SIGN_IN = Permission(name="session.create", public=True)
OPEN_SIGN_IN = Permission(name="sign-in.open", public=True)
SEE_ACCOUNT = Permission(name="account.read", roleless=True)
READ_AUDIT = Permission(name="audit.read", role=Role.ADMIN)
READ_COMMENTS = Permission(name="comments.read")
"""To read what is said about things that the caller may read."""
WRITE_COMMENTS = Permission(name="comments.write", role=Role.SCIENTIST)
MODERATE_COMMENTS = Permission(name="comments.moderate", role=Role.ADMIN)
"""To remove what others said; not a text is changed by anybody but its author."""
