"""What people do with experiments on their pages: make, rename, describe, tag, delete, restore."""

from __future__ import annotations

from typing import Annotated

import msgspec

from noria.core.web.actions import Action, Confirmation, Done, NoFields, Stale, Undo
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.revisions import check_tag
from noria.core.web.urls import EXPERIMENT_PATH, EXPERIMENTS_PATH
from noria.tracking.entities import Tags
from noria.tracking.experiment_entities import ExperimentChange, NewExperiment
from noria.tracking.experiments import Experiments
from noria.tracking.limits import MAX_EXPERIMENT_TAG_CHARS, MAX_KEY_CHARS, MAX_NAME_CHARS
from noria.tracking.pages_experiments import own_tags
from noria.tracking.pages_run_frame import NOTE_TAG
from noria.tracking.permissions import WRITE_RUNS
from noria.tracking.run_tables import RunTables

Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARS)]
Key = Annotated[str, msgspec.Meta(max_length=MAX_KEY_CHARS)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_EXPERIMENT_TAG_CHARS)]

RENAME, TAG, DESCRIBE, DELETE, RESTORE = "rename", "tag", "describe", "delete", "restore"


class MakeExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """A new experiment and what it is for."""

    name: Name
    note: Text = ""


class RenameExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """Another name."""

    name: Name


class TagExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """A tag; without a value it is taken away. `was` is the revision of the tags that the page showed."""

    key: Key
    value: Text = ""
    was: Text = ""


class DescribeExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment is for, and what stood there when the form was made."""

    note: Text = ""
    was: Text = ""


def make(visit: Visit, form: MakeExperiment) -> Done:
    """Make an experiment and go to it."""
    project, name = visit.parameters["project"], form.name.strip()
    tags = {NOTE_TAG: form.note} if form.note else {}
    visit.context.guarded(Experiments).create(project, NewExperiment(name=name, tags=tags))
    return Done(
        to=visit.urls.experiment(project, name),
        words=mark("The experiment `%(name)s` is made"),
        values={"name": name},
    )


def rename(visit: Visit, form: RenameExperiment) -> Done:
    """Give an experiment another name."""
    project, name = _place(visit)
    new = form.name.strip()
    visit.context.guarded(Experiments).rename(project, name, ExperimentChange(name=new))
    return Done(
        to=visit.urls.experiment(project, new),
        words=mark("`%(old)s` is now called `%(new)s`"),
        values={"old": name, "new": new},
        undo=Undo(to=visit.urls.experiment(project, new, RENAME), fields={"name": name}),
    )


def tag(visit: Visit, form: TagExperiment) -> Done:
    """Set or remove a tag."""
    project, name = _place(visit)
    service = visit.context.guarded(Experiments)
    tags = service.get(project, name).tags
    before = tags.get(form.key, "")
    check_tag(own_tags(tags), form.was, key=form.key, value=form.value)
    service.set_tags(project, name, Tags(tags={form.key: form.value or None}))
    words = mark("The tag `%(key)s` is set") if form.value else mark("The tag `%(key)s` is removed")
    return Done(
        words=words,
        values={"key": form.key},
        undo=Undo(to=visit.urls.experiment(project, name, TAG), fields={"key": form.key, "value": before}),
    )


def describe(visit: Visit, form: DescribeExperiment) -> Done:
    """Write what an experiment is for, unless somebody else wrote something else meanwhile."""
    project, name = _place(visit)
    service = visit.context.guarded(Experiments)
    now = service.get(project, name).tags.get(NOTE_TAG, "")
    if now != form.was:
        raise Stale({"note": now})
    service.set_tags(project, name, Tags(tags={NOTE_TAG: form.note or None}))
    return Done(
        words=mark("The description is saved"),
        undo=Undo(to=visit.urls.experiment(project, name, DESCRIBE), fields={"note": now, "was": form.note}),
    )


def confirm_delete(visit: Visit, form: NoFields) -> Confirmation:  # noqa: ARG001 - as the action calls it
    """Ask before an experiment is deleted."""
    project, name = _place(visit)
    _, tally, _ = visit.context.service(RunTables).experiment(project, name)
    return Confirmation(
        words=mark("Delete the experiment `%(name)s`?"),
        consequences=(
            mark("Runs that are deleted with it: %(n)s."),
            mark("It can be restored until the grace period is over."),
        ),
        values={"name": name, "n": str(tally.n_active)},
        button=mark("Delete"),
        back=visit.urls.experiment(project, name),
    )


def delete(visit: Visit, form: NoFields) -> Done:  # noqa: ARG001 - as the action calls it
    """Delete an experiment with its runs."""
    project, name = _place(visit)
    visit.context.guarded(Experiments).delete(project, name)
    return Done(
        to=visit.urls.experiments(project),
        words=mark("The experiment `%(name)s` is deleted"),
        values={"name": name},
        undo=Undo(to=visit.urls.experiment(project, name, RESTORE)),
    )


def restore(visit: Visit, form: NoFields) -> Done:  # noqa: ARG001 - as the action calls it
    """Bring an experiment back with the runs that were deleted with it."""
    project, name = _place(visit)
    visit.context.guarded(Experiments).restore(project, name)
    return Done(
        to=visit.urls.experiment(project, name),
        words=mark("The experiment `%(name)s` is back"),
        values={"name": name},
    )


def _place(visit: Visit) -> tuple[str, str]:
    return visit.parameters["project"], visit.parameters["experiment"]


ACTIONS = (
    Action(path=EXPERIMENTS_PATH, needs=WRITE_RUNS, fields=MakeExperiment, handle=make),
    Action(path=f"{EXPERIMENT_PATH}/{RENAME}", needs=WRITE_RUNS, fields=RenameExperiment, handle=rename),
    Action(path=f"{EXPERIMENT_PATH}/{TAG}", needs=WRITE_RUNS, fields=TagExperiment, handle=tag),
    Action(
        path=f"{EXPERIMENT_PATH}/{DESCRIBE}", needs=WRITE_RUNS, fields=DescribeExperiment, handle=describe
    ),
    Action(
        path=f"{EXPERIMENT_PATH}/{DELETE}",
        needs=WRITE_RUNS,
        fields=NoFields,
        handle=delete,
        confirm=confirm_delete,
    ),
    Action(path=f"{EXPERIMENT_PATH}/{RESTORE}", needs=WRITE_RUNS, fields=NoFields, handle=restore),
)
