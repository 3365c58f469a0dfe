"""Operations on comments."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from noria.access.comment_entities import (
    MAX_COMMENT_CHARS,
    Comment,
    CommentChange,
    CommentPage,
    NewComment,
)
from noria.access.comment_subjects import resolve_subject
from noria.access.comment_tables import comments
from noria.access.events import COMMENT_ADDED, COMMENT_EDITED, COMMENT_REMOVED, COMMENT_RESTORED
from noria.access.permissions import MODERATE_COMMENTS, READ_COMMENTS, WRITE_COMMENTS
from noria.access.projects import project_pk
from noria.core.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from noria.core.events.log import EventType, append
from noria.core.ids import new_id
from noria.core.operations import Service, operation

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_C = comments.c


class CommentNotFound(NotFound):
    """The project has no comment of this id."""

    code = "comment_not_found"

    def __init__(self, project: str, comment_id: str) -> None:
        super().__init__(
            f"The project `{project}` has no comment `{comment_id[:100]}`",
            hint="See what was said: `noria comments list run:ID`",
            details={"comment_id": comment_id[:100]},
        )


class CommentChanged(Conflict):
    """The comment has another text than the one that the change was made from."""

    code = "comment_changed"

    def __init__(self, comment: Comment) -> None:
        super().__init__(
            f"The comment `{comment.id}` has changed meanwhile",
            hint="Read it again, and send the change with its present revision",
            details={"revision": comment.revision},
        )


class CommentOfAnother(Forbidden):
    """Somebody else said it."""

    code = "comment_of_another"

    def __init__(self, comment: Comment, *, hint: str) -> None:
        super().__init__(f"The comment `{comment.id}` is of `{comment.author}`", hint=hint)


class Comments(Service):
    """What people say about runs, versions of models and data, endpoints, incidents and decisions.

    Who may read a thing may read what is said about it.
    """

    @operation("GET", "/projects/{project}/comments-on/{ref}", needs=READ_COMMENTS)
    def list(self, project: str, ref: str, limit: int = 100, before: str | None = None) -> CommentPage:
        """List the last comments on a thing, in the order in which they were said; `before` gives those before one."""
        return self.on_subject(
            project, resolve_subject(self.context, project, ref), limit=limit, before=before
        )

    @operation("POST", "/projects/{project}/comments", needs=WRITE_COMMENTS)
    def add(self, project: str, new: NewComment) -> Comment:
        """Say something about a thing that the caller may read."""
        text = _checked(new.text)
        subject = resolve_subject(self.context, project, new.on)
        with self.context.database.write(durable=True) as connection:
            values = {
                "id": new_id(),
                "subject": subject,
                "author": self.context.principal.name,
                "text": text,
                "revision": 1,
                "created_at": self.context.clock.now(),
            }
            key = project_pk(connection, project)
            connection.execute(sa.insert(comments).values(project_pk=key, **values))
            made = _comment(project, {**values, "edited_at": None, "deleted_at": None})
            self._tell(connection, COMMENT_ADDED, made)
        return made

    @operation("PATCH", "/projects/{project}/comments/{comment_id}", needs=WRITE_COMMENTS)
    def edit(self, project: str, comment_id: str, change: CommentChange) -> Comment:
        """Give a comment another text; its author alone may."""
        text = _checked(change.text)
        with self.context.database.write(durable=True) as connection:
            found = _find(connection, project, comment_id, hold=True)
            if found.author != self.context.principal.name:
                raise CommentOfAnother(
                    found, hint=f"Ask `{found.author}` to change it, or say something yourself"
                )
            if change.revision is not None and change.revision != found.revision and text != found.text:
                raise CommentChanged(found)
            if text == found.text:
                return found
            values = {
                "text": text,
                "revision": found.revision + 1,
                "edited_at": self.context.clock.now(),
            }
            changed = self._change(connection, found, values)
            self._tell(connection, COMMENT_EDITED, changed)
        return changed

    @operation("DELETE", "/projects/{project}/comments/{comment_id}", needs=WRITE_COMMENTS)
    def remove(self, project: str, comment_id: str) -> Comment:
        """Show a comment no longer; its author may, and an admin. It can be restored."""
        with self.context.database.write(durable=True) as connection:
            found = _find(connection, project, comment_id, hold=True)
            self._check_moderator(found)
            if found.deleted_at is not None:
                return found
            removed = self._change(connection, found, {"deleted_at": self.context.clock.now()})
            self._tell(connection, COMMENT_REMOVED, removed)
        return removed

    @operation("POST", "/projects/{project}/comments/{comment_id}/restore", needs=WRITE_COMMENTS, status=200)
    def restore(self, project: str, comment_id: str) -> Comment:
        """Show a removed comment again; its author may, and an admin."""
        with self.context.database.write(durable=True) as connection:
            found = _find(connection, project, comment_id, hold=True)
            self._check_moderator(found)
            if found.deleted_at is None:
                return found
            restored = self._change(connection, found, {"deleted_at": None})
            self._tell(connection, COMMENT_RESTORED, restored)
        return restored

    def get(self, project: str, comment_id: str) -> Comment:
        """Get one comment, removed or not, for forms of pages: who may read its thing is not asked here."""
        with self.context.database.read() as connection:
            return _find(connection, project, comment_id)

    def on_subject(
        self, project: str, subject: str, *, limit: int = 100, before: str | None = None
    ) -> CommentPage:
        """List the last comments on a thing, given by kind and id, that the caller was seen to be able to read."""
        bound = max(1, min(limit, 1000))
        query = (
            sa.select(*COLUMNS)
            .where(_C.subject == subject, _C.deleted_at.is_(None))
            .order_by(_C.id.desc())
            .limit(bound + 1)
        )
        if before is not None:
            query = query.where(_C.id < before)
        with self.context.database.read() as connection:
            query = query.where(_C.project_pk == project_pk(connection, project))
            rows = connection.execute(query).mappings().all()
        items = [_comment(project, row) for row in reversed(rows[:bound])]
        return CommentPage(items=items, next=items[0].id if len(rows) > bound else None)

    def _check_moderator(self, comment: Comment) -> None:
        caller = self.context.principal
        if comment.author != caller.name and not caller.may(MODERATE_COMMENTS, comment.project):
            raise CommentOfAnother(comment, hint=f"Ask `{comment.author}` or an admin")

    def _change(self, connection: sa.Connection, comment: Comment, values: dict[str, Any]) -> Comment:
        connection.execute(sa.update(comments).where(_C.id == comment.id).values(**values))
        return _find(connection, comment.project, comment.id)

    def _tell(self, connection: sa.Connection, kind: EventType, comment: Comment) -> None:
        append(
            connection,
            self.context.clock,
            actor=self.context.principal.name,
            type=kind,
            subject=f"comment:{comment.id}",
            project=comment.project,
            payload={"on": comment.on},
        )


def drop_comments(connection: sa.Connection, subjects: Iterable[str]) -> None:
    """Remove for good what was said about things that are gone for good, given by kind and id."""
    connection.execute(sa.delete(comments).where(_C.subject.in_([*subjects])))


COLUMNS = (
    _C.id,
    _C.subject,
    _C.author,
    _C.text,
    _C.revision,
    _C.created_at,
    _C.edited_at,
    _C.deleted_at,
)


def _find(connection: sa.Connection, project: str, comment_id: str, *, hold: bool = False) -> Comment:
    query = sa.select(*COLUMNS).where(_C.id == comment_id, _C.project_pk == project_pk(connection, project))
    # On PostgreSQL two changes at once follow one another; SQLite has one writer.
    row = connection.execute(query.with_for_update() if hold else query).mappings().one_or_none()
    if row is None:
        raise CommentNotFound(project, comment_id)
    return _comment(project, row)


def _comment(project: str, row: Any) -> Comment:
    values = {**row}
    return Comment(project=project, on=values.pop("subject"), **values)


def _checked(text: str) -> str:
    kept = text.strip()
    if not kept:
        raise Invalid("A comment needs a text", hint="Write something; Markdown is shown as such")
    if len(kept) > MAX_COMMENT_CHARS:
        raise TooLarge(
            f"The comment has {len(kept)} characters", hint=f"Use at most {MAX_COMMENT_CHARS} characters"
        )
    if _UNSTORABLE.search(kept):
        raise Invalid(
            "The comment holds a character that cannot be kept", hint="Leave out NUL and lone surrogates"
        )
    return kept
