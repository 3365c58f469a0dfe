"""What the pages of a run can do: name, tag and describe it, delete and restore it, end one that hangs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from noria.core.web.actions import Action, Confirmation, Done, NoFields, Stale, Undo
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.revisions import check_tag, check_untag, text_revision
from noria.tracking.entities import LogBatch, Run, RunChange, RunEnd, RunStatus
from noria.tracking.limits import MAX_KEY_CHARS, MAX_NAME_CHARS, MAX_TAG_CHARS
from noria.tracking.pages_run_frame import NOTE_TAG, own_tags, run_path
from noria.tracking.permissions import WRITE_RUNS
from noria.tracking.service import Runs


class RunName(msgspec.Struct, frozen=True, kw_only=True):
    """A new name; `was` is the one that the form was made with."""

    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
    was: str = ""


class RunTag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag to set; `was` is the revision of the tags that the page showed."""

    key: Annotated[str, msgspec.Meta(max_length=MAX_KEY_CHARS)]
    value: Annotated[str, msgspec.Meta(max_length=MAX_TAG_CHARS)] = ""
    was: str = ""


class RunTagKey(msgspec.Struct, frozen=True, kw_only=True):
    """A tag to remove; `was` is the revision of the value that the page showed."""

    key: Annotated[str, msgspec.Meta(max_length=MAX_KEY_CHARS)]
    was: str = ""


class RunNote(msgspec.Struct, frozen=True, kw_only=True):
    """A description in Markdown; `was` is `text_revision` of the one that the form was made with."""

    text: Annotated[str, msgspec.Meta(max_length=MAX_TAG_CHARS)] = ""
    was: str = ""


def rename(visit: Visit, form: RunName) -> Done:
    """Give a run another name."""
    run = _run(visit)
    if form.was and run.name not in (form.was, form.name):
        raise Stale({"name": run.name})
    visit.context.service(Runs).amend(run.project, run.id, RunChange(name=form.name))
    return Done(
        to=_page(visit),
        words=mark("The run is now called `%(name)s`"),
        values={"name": form.name},
        undo=Undo(to=_page(visit, "rename"), fields={"name": run.name}),
    )


def tag(visit: Visit, form: RunTag) -> Done:
    """Set a tag."""
    run = _run(visit)
    before = run.tags.get(form.key)
    # A tag of programs is not among those that the page shows by its form.
    check_tag(own_tags(run), form.was, key=form.key, value=form.value)
    _set_tag(visit, run, form.key, form.value)
    undo = (
        Undo(to=_page(visit, "untag"), fields={"key": form.key})
        if before is None
        else Undo(to=_page(visit, "tag"), fields={"key": form.key, "value": before})
    )
    return Done(to=_page(visit), words=mark("The tag `%(key)s` is set"), values={"key": form.key}, undo=undo)


def untag(visit: Visit, form: RunTagKey) -> Done:
    """Remove a tag."""
    run = _run(visit)
    before = run.tags.get(form.key)
    check_untag(run.tags.items(), form.was, key=form.key)
    _set_tag(visit, run, form.key, None)
    undo = (
        Undo(to=_page(visit, "tag"), fields={"key": form.key, "value": before})
        if before is not None
        else None
    )
    return Done(
        to=_page(visit), words=mark("The tag `%(key)s` is removed"), values={"key": form.key}, undo=undo
    )


def describe(visit: Visit, form: RunNote) -> Done:
    """Write a description, unless somebody else did since the form was made."""
    run = _run(visit)
    present = run.tags.get(NOTE_TAG, "")
    if form.was != text_revision(present) and form.text != present:
        raise Stale({"text": present})
    _set_tag(visit, run, NOTE_TAG, form.text.strip() or None)
    undo = Undo(
        to=_page(visit, "describe"), fields={"text": present, "was": text_revision(form.text.strip())}
    )
    return Done(to=_page(visit), words=mark("The description is kept"), undo=undo)


def delete(visit: Visit, _form: NoFields) -> Done:
    """Delete a run, so that it can be restored."""
    run = _run(visit)
    visit.context.service(Runs).delete(run.project, run.id)
    return Done(
        to=_page(visit),
        words=mark("The run `%(name)s` is deleted"),
        values={"name": run.name},
        undo=Undo(to=_page(visit, "restore")),
    )


def confirm_delete(visit: Visit, _form: NoFields) -> Confirmation:
    """Ask before a run is deleted."""
    return Confirmation(
        words=mark("Delete the run `%(name)s`?"),
        consequences=(
            mark("It is no longer listed, and takes no more metrics"),
            mark("It can be restored until `noria gc` removes it for good"),
        ),
        values={"name": _run(visit).name},
        button=mark("Delete"),
        back=_page(visit),
    )


def restore(visit: Visit, _form: NoFields) -> Done:
    """Make a deleted run active again."""
    run = visit.context.service(Runs).restore(*_place(visit))
    return Done(to=_page(visit), words=mark("The run `%(name)s` is restored"), values={"name": run.name})


def end(visit: Visit, _form: NoFields) -> Done:
    """End a run whose program is gone."""
    run = visit.context.service(Runs).finish(*_place(visit), RunEnd(status=RunStatus.KILLED))
    return Done(
        to=_page(visit),
        words=mark("The run `%(name)s` has ended as killed"),
        values={"name": run.name},
        undo=Undo(to=_page(visit, "resume")),
    )


def confirm_end(visit: Visit, _form: NoFields) -> Confirmation:
    """Ask before a run is ended."""
    return Confirmation(
        words=mark("End the run `%(name)s` as killed?"),
        consequences=(
            mark("Its program is not stopped: do this when the program is gone"),
            mark("What the program still sends is kept all the same"),
        ),
        values={"name": _run(visit).name},
        button=mark("End it"),
        back=_page(visit),
    )


def resume(visit: Visit, _form: NoFields) -> Done:
    """Let a run that was ended go on."""
    run = visit.context.service(Runs).resume(*_place(visit))
    return Done(to=_page(visit), words=mark("The run `%(name)s` goes on"), values={"name": run.name})


def _place(visit: Visit) -> tuple[str, str]:
    return visit.parameters["project"], visit.parameters["run_id"]


def _run(visit: Visit) -> Run:
    return visit.context.service(Runs).get(*_place(visit))


def _page(visit: Visit, part: str = "") -> str:
    return visit.urls.run(*_place(visit), part)


def _set_tag(visit: Visit, run: Run, key: str, value: str | None) -> None:
    visit.context.service(Runs).log(run.project, run.id, LogBatch(tags={key: value}))


ACTIONS = (
    Action(path=run_path("rename"), needs=WRITE_RUNS, fields=RunName, handle=rename),
    Action(path=run_path("tag"), needs=WRITE_RUNS, fields=RunTag, handle=tag),
    Action(path=run_path("untag"), needs=WRITE_RUNS, fields=RunTagKey, handle=untag),
    Action(path=run_path("describe"), needs=WRITE_RUNS, fields=RunNote, handle=describe),
    Action(path=run_path("delete"), needs=WRITE_RUNS, fields=NoFields, handle=delete, confirm=confirm_delete),
    Action(path=run_path("restore"), needs=WRITE_RUNS, fields=NoFields, handle=restore),
    Action(path=run_path("end"), needs=WRITE_RUNS, fields=NoFields, handle=end, confirm=confirm_end),
    Action(path=run_path("resume"), needs=WRITE_RUNS, fields=NoFields, handle=resume),
)
