"""Comments on pages: what stands there, and the forms to say, change, remove and restore something."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from noria.access.comment_entities import MAX_COMMENT_CHARS, Comment, CommentChange, NewComment
from noria.access.comments import CommentChanged, Comments
from noria.access.permissions import MODERATE_COMMENTS, READ_COMMENTS, WRITE_COMMENTS
from noria.core.web.actions import Action, Done, NoFields, Stale, Undo
from noria.core.web.discussions import EARLIER, Discussion, Said
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.urls import COMMENT_PATH, COMMENTS_PATH, with_parameter, without_parameter

PER_PAGE: Final = 50


class CommentForm(msgspec.Struct, frozen=True, kw_only=True):
    """Something to say; `on` is the thing, as `run:ID`."""

    on: Annotated[str, msgspec.Meta(max_length=1000)]
    text: Annotated[str, msgspec.Meta(max_length=MAX_COMMENT_CHARS)]


class CommentText(msgspec.Struct, frozen=True, kw_only=True):
    """Another text; `revision` is that of the comment that the form was made with."""

    text: Annotated[str, msgspec.Meta(max_length=MAX_COMMENT_CHARS)]
    revision: int


def discussion(visit: Visit, project: str, on: str, thing_id: str) -> Discussion | None:
    """Give what was said about a thing that the page has read, so that the reader may.

    Parameters
    ----------
    on
        The thing by name, as people refer to it: `model:digits@3`.
    thing_id
        Its id.

    Returns
    -------
    Discussion or None
        None where the reader may not read comments.
    """
    caller = visit.context.principal
    if not caller.may(READ_COMMENTS, project):
        return None
    before = visit.parameters.get(EARLIER)
    subject = f"{on.partition(':')[0]}:{thing_id}"
    page = visit.context.service(Comments).on_subject(project, subject, limit=PER_PAGE, before=before)
    may_write = caller.may(WRITE_COMMENTS, project)
    may_moderate = may_write and caller.may(MODERATE_COMMENTS, project)
    return Discussion(
        on=on,
        project=project,
        said=tuple(_said(each, caller.name, may_write, may_moderate) for each in page.items),
        earlier_url=f"{with_parameter(visit.here, EARLIER, page.next)}#comments" if page.next else None,
        latest_url=f"{without_parameter(visit.here, EARLIER)}#comments" if before else None,
        may_add=may_write,
        max_chars=MAX_COMMENT_CHARS,
    )


def _said(comment: Comment, reader: str, may_write: bool, may_moderate: bool) -> Said:
    is_own = may_write and comment.author == reader
    return Said(
        id=comment.id,
        author=comment.author,
        text=comment.text,
        revision=comment.revision,
        created_at=comment.created_at,
        edited_at=comment.edited_at,
        may_edit=is_own,
        may_remove=is_own or may_moderate,
    )


def add(visit: Visit, form: CommentForm) -> Done:
    """Say something."""
    project = visit.parameters["project"]
    made = visit.context.service(Comments).add(project, NewComment(on=form.on, text=form.text))
    return Done(
        to=without_parameter(visit.here, EARLIER),
        words=mark("The comment stands there now"),
        undo=Undo(to=visit.urls.comment(project, made.id, "remove")),
    )


def edit(visit: Visit, form: CommentText) -> Done:
    """Give a comment another text, unless it changed since the form was made."""
    project, comment_id = _place(visit)
    comments = visit.context.service(Comments)
    before = comments.get(project, comment_id)
    try:
        changed = comments.edit(project, comment_id, CommentChange(text=form.text, revision=form.revision))
    except CommentChanged as error:
        raise Stale({"text": comments.get(project, comment_id).text}) from error
    fields = {"text": before.text, "revision": str(changed.revision)}
    return Done(
        words=mark("The comment is changed"),
        undo=Undo(to=visit.urls.comment(project, comment_id, "edit"), fields=fields),
    )


def remove(visit: Visit, _form: NoFields) -> Done:
    """Show a comment no longer."""
    project, comment_id = _place(visit)
    visit.context.service(Comments).remove(project, comment_id)
    return Done(
        words=mark("The comment is removed"),
        undo=Undo(to=visit.urls.comment(project, comment_id, "restore")),
    )


def restore(visit: Visit, _form: NoFields) -> Done:
    """Show a removed comment again."""
    visit.context.service(Comments).restore(*_place(visit))
    return Done(words=mark("The comment is shown again"))


def _place(visit: Visit) -> tuple[str, str]:
    return visit.parameters["project"], visit.parameters["comment_id"]


ACTIONS = (
    Action(path=COMMENTS_PATH, needs=WRITE_COMMENTS, fields=CommentForm, handle=add),
    Action(path=f"{COMMENT_PATH}/edit", needs=WRITE_COMMENTS, fields=CommentText, handle=edit),
    Action(path=f"{COMMENT_PATH}/remove", needs=WRITE_COMMENTS, fields=NoFields, handle=remove),
    Action(path=f"{COMMENT_PATH}/restore", needs=WRITE_COMMENTS, fields=NoFields, handle=restore),
)
