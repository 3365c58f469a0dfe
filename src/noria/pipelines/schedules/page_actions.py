"""What the page of a schedule can do: pause, resume, run now."""

from __future__ import annotations

from noria.core.web.actions import Action, Done, NoFields, Undo
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.urls import SCHEDULE_PATH
from noria.pipelines.schedules.permissions import RUN_SCHEDULES
from noria.pipelines.schedules.service import Schedules


def pause(visit: Visit, _form: NoFields) -> Done:
    """Start nothing by itself until the schedule is resumed."""
    project, name = _named(visit)
    visit.context.service(Schedules).pause(project, name)
    return Done(
        words=mark("`%(schedule)s` is paused; what runs goes on"),
        values={"schedule": name},
        undo=Undo(to=visit.urls.schedule(project, name, "resume")),
    )


def resume(visit: Visit, _form: NoFields) -> Done:
    """Start runs again, from the interval of the present on."""
    project, name = _named(visit)
    visit.context.service(Schedules).resume(project, name)
    return Done(
        words=mark("`%(schedule)s` goes on"),
        values={"schedule": name},
        undo=Undo(to=visit.urls.schedule(project, name, "pause")),
    )


def run_now(visit: Visit, _form: NoFields) -> Done:
    """Run it once more, for the interval that ended last."""
    project, name = _named(visit)
    visit.context.service(Schedules).run(project, name)
    return Done(words=mark("A run of `%(schedule)s` waits for a worker"), values={"schedule": name})


def _named(visit: Visit) -> tuple[str, str]:
    return visit.parameters["project"], visit.parameters["schedule"]


ACTIONS = (
    Action(path=f"{SCHEDULE_PATH}/pause", needs=RUN_SCHEDULES, fields=NoFields, handle=pause),
    Action(path=f"{SCHEDULE_PATH}/resume", needs=RUN_SCHEDULES, fields=NoFields, handle=resume),
    Action(path=f"{SCHEDULE_PATH}/run", needs=RUN_SCHEDULES, fields=NoFields, handle=run_now),
)
