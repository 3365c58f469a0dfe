"""Types of event that this capability appends."""

from __future__ import annotations

from noria.core.events.log import EventType

PROJECT_CREATED = EventType("project.created", "A project was made")
USER_CREATED = EventType(
    "user.created", "A person may sign in; the payload has the role in the whole workspace"
)
USER_ROLE_SET = EventType(
    "user.role-set", "A role was given or taken; the payload has the role, null when taken"
)
USER_PASSWORD_SET = EventType("user.password-set", "A password was changed; every session of that user ended")
USER_DELETED = EventType("user.deleted", "A user and all of that user's tokens are gone")
TOKEN_CREATED = EventType(
    "token.created", "A token was issued; the payload says what it may do, and until when"
)
TOKEN_REVOKED = EventType("token.revoked", "A token ended before its time")
SIGNED_IN = EventType(
    "session.created", "Somebody signed in: for a token, or for a session in a browser; the payload names it"
)
SIGNED_OUT = EventType("session.ended", "A session in a browser was ended before its time")
SIGN_IN_BLOCKED = EventType("session.blocked", "Too many wrong passwords for one name; it has to wait")
COMMENT_ADDED = EventType(
    "comment.added", "Somebody said something about a thing; the payload has kind and id of the thing"
)
COMMENT_EDITED = EventType("comment.edited", "The author of a comment changed its text")
COMMENT_REMOVED = EventType("comment.removed", "A comment is no longer shown; it can be restored")
COMMENT_RESTORED = EventType("comment.restored", "A comment that was removed is shown again")
