"""What people do with the runs of a table: choose columns, compare, tag, delete, restore."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import msgspec

from noria.core.web.actions import Action, Confirmation, Done, FieldError, FieldsRefused, Undo
from noria.core.web.cookies import Cookie, read_cookie
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.urls import EXPERIMENT_PATH
from noria.tracking.experiments import Experiments
from noria.tracking.limits import MAX_KEY_CHARS, MAX_TAG_CHARS
from noria.tracking.many_runs import ManyRuns
from noria.tracking.permissions import READ_RUNS, WRITE_RUNS
from noria.tracking.run_cells import Wanted
from noria.tracking.run_tables import RunTables
from noria.tracking.table_view import COLUMNS_COOKIE, MAX_COLUMNS, TableView, keep_columns

COLUMNS, COMPARE, TAG, RETAG, DELETE, RESTORE = (
    "columns",
    "runs/compare",
    "runs/tag",
    "runs/retag",
    "runs/delete",
    "runs/restore",
)
MAX_RUNS = 200
_KEPT_FOR = timedelta(days=365)

Ids = Annotated[list[str], msgspec.Meta(max_length=MAX_RUNS)]


class ChooseColumns(msgspec.Struct, frozen=True, kw_only=True):
    """The columns to show, and the rest of the view, which stays as it is."""

    columns: Annotated[list[str], msgspec.Meta(max_length=MAX_COLUMNS)] = []
    filter: str = ""
    sort: str = ""
    group: str = ""
    show: str = ""
    nested: str = ""


class TickedRuns(msgspec.Struct, frozen=True, kw_only=True):
    """The form round the table, whichever of its buttons was pressed.

    Attributes
    ----------
    run
        Ids of the ticked runs; several may stand in one, with commas between.
    key, value
        A tag; without a value it is taken away.
    """

    run: Ids = []
    key: Annotated[str, msgspec.Meta(max_length=MAX_KEY_CHARS)] = ""
    value: Annotated[str, msgspec.Meta(max_length=MAX_TAG_CHARS)] = ""

    def ids(self, least: int = 1) -> list[str]:
        """Give the ids, each once.

        Raises
        ------
        FieldsRefused
            If there are fewer than `least`.
        """
        found = [each for one in self.run for each in one.split(",") if each]
        unique = list(dict.fromkeys(found))
        if len(unique) < least:
            words = mark("Tick a run first") if least == 1 else mark("Tick at least two runs to compare")
            raise FieldsRefused({"run": FieldError(words=words)})
        return unique


class Retag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag as it was on some runs.

    Attributes
    ----------
    was
        JSON: a list of pairs of a value, or null for none, and the ids of its runs.
    """

    key: str
    was: str


def choose_columns(visit: Visit, form: ChooseColumns) -> Done:
    """Keep the columns in the address, and in a cookie for the next visit."""
    project, experiment = _place(visit)
    number = visit.context.guarded(Experiments).get(project, experiment).number
    kept = read_cookie(visit.browser.cookies, COLUMNS_COOKIE) or ""
    view = TableView(
        project=project,
        experiment=experiment,
        filter=form.filter,
        sort=form.sort,
        columns=tuple(form.columns) or None,
        group=form.group,
        deleted=form.show == "deleted",
        nested=form.nested == "folded",
    )
    value = keep_columns(kept, number, form.columns)
    return Done(to=view.url(visit.urls), cookies=(Cookie(name=COLUMNS_COOKIE, value=value, life=_KEPT_FOR),))


def compare(visit: Visit, form: TickedRuns) -> Done:
    """Go to the comparison of the ticked runs."""
    project, _ = _place(visit)
    return Done(to=visit.urls.compare(project, runs=form.ids(least=2)))


def tag(visit: Visit, form: TickedRuns) -> Done:
    """Set a tag of the ticked runs, or remove it."""
    project, experiment = _place(visit)
    ids = form.ids()
    if not form.key.strip():
        raise FieldsRefused({"key": FieldError(words=mark("Fill this in"))})
    key = form.key.strip()
    before = visit.context.service(RunTables).tags(project, ids, key)
    visit.context.service(ManyRuns).set_tag(project, key, dict.fromkeys(ids, form.value or None))
    by_value: dict[str | None, list[str]] = {}
    for run_id in ids:
        by_value.setdefault(before.get(run_id), []).append(run_id)
    was = msgspec.json.encode(list(by_value.items())).decode()
    words = (
        mark("The tag `%(key)s` is set; runs: %(n)s")
        if form.value
        else mark("The tag `%(key)s` is removed; runs: %(n)s")
    )
    return Done(
        words=words,
        values={"key": key, "n": str(len(ids))},
        undo=Undo(to=visit.urls.experiment(project, experiment, RETAG), fields={"key": key, "was": was}),
    )


def retag(visit: Visit, form: Retag) -> Done:
    """Give runs the tag that they had before."""
    project, _ = _place(visit)
    try:
        was = msgspec.json.decode(form.was, type=list[tuple[str | None, list[str]]])
    except msgspec.MsgspecError as error:
        raise FieldsRefused({"was": FieldError(words=mark("This does not have the right form"))}) from error
    values = {run_id: value for value, ids in was for run_id in ids}
    visit.context.service(ManyRuns).set_tag(project, form.key, values)
    return Done(words=mark("The tag `%(key)s` is as it was"), values={"key": form.key, "n": str(len(values))})


def confirm_delete(visit: Visit, form: TickedRuns) -> Confirmation:
    """Ask before runs are deleted."""
    project, experiment = _place(visit)
    ids = form.ids()
    names = [run.name for run in visit.context.service(RunTables).cells(project, ids[:3], Wanted())]
    more = " …" if len(ids) > len(names) else ""
    return Confirmation(
        words=mark("Delete the ticked runs (%(n)s)?"),
        consequences=(
            mark("They are: %(names)s"),
            mark("They can be restored until the grace period is over."),
        ),
        values={"n": str(len(ids)), "names": ", ".join(names) + more},
        button=mark("Delete"),
        back=visit.urls.experiment(project, experiment),
    )


def delete(visit: Visit, form: TickedRuns) -> Done:
    """Delete the ticked runs."""
    project, experiment = _place(visit)
    ids = form.ids()
    visit.context.service(ManyRuns).delete(project, ids)
    return Done(
        words=mark("Deleted runs: %(n)s"),
        values={"n": str(len(ids))},
        undo=_restoring(visit, project, experiment, ids),
    )


def restore(visit: Visit, form: TickedRuns) -> Done:
    """Bring deleted runs back."""
    project, _ = _place(visit)
    ids = form.ids()
    visit.context.service(ManyRuns).restore(project, ids)
    return Done(words=mark("Restored runs: %(n)s"), values={"n": str(len(ids))})


def _restoring(visit: Visit, project: str, experiment: str, ids: Sequence[str]) -> Undo:
    # One field: a field for each would not fit into the notice's cookie.
    return Undo(to=visit.urls.experiment(project, experiment, RESTORE), fields={"run": ",".join(ids)})


def _place(visit: Visit) -> tuple[str, str]:
    return visit.parameters["project"], visit.parameters["experiment"]


ACTIONS = (
    Action(path=f"{EXPERIMENT_PATH}/{COLUMNS}", needs=READ_RUNS, fields=ChooseColumns, handle=choose_columns),
    Action(path=f"{EXPERIMENT_PATH}/{COMPARE}", needs=READ_RUNS, fields=TickedRuns, handle=compare),
    Action(path=f"{EXPERIMENT_PATH}/{TAG}", needs=WRITE_RUNS, fields=TickedRuns, handle=tag),
    Action(path=f"{EXPERIMENT_PATH}/{RETAG}", needs=WRITE_RUNS, fields=Retag, handle=retag),
    Action(
        path=f"{EXPERIMENT_PATH}/{DELETE}",
        needs=WRITE_RUNS,
        fields=TickedRuns,
        handle=delete,
        confirm=confirm_delete,
    ),
    Action(path=f"{EXPERIMENT_PATH}/{RESTORE}", needs=WRITE_RUNS, fields=TickedRuns, handle=restore),
)
