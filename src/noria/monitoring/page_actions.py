"""What the page of an endpoint can do about its alerts: be silent for a time, and speak again."""

from __future__ import annotations

from typing import Annotated

import msgspec

from noria.core.web.actions import Action, Done, Undo
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.urls import ENDPOINT_PATH
from noria.monitoring.alerts.entities import LONGEST_SILENCE_S, NewSilence
from noria.monitoring.alerts.service import Alerts
from noria.monitoring.permissions import WRITE_MONITORS

SILENCE_OPTIONS = (
    ("3600", mark("1 hour")),
    ("14400", mark("4 hours")),
    ("86400", mark("1 day")),
    ("604800", mark("1 week")),
)
"""Seconds, and how long that is."""


class SilenceForm(msgspec.Struct, frozen=True, kw_only=True):
    """How long nobody is told of an endpoint's alerts; `why` may be left empty."""

    for_s: Annotated[int, msgspec.Meta(ge=60, le=LONGEST_SILENCE_S)]
    why: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class UnsilenceForm(msgspec.Struct, frozen=True, kw_only=True):
    """Which silence ends."""

    silence: Annotated[str, msgspec.Meta(max_length=100)]


def silence(visit: Visit, form: SilenceForm) -> Done:
    """Tell nobody of the endpoint's alerts for a time."""
    project, endpoint = _endpoint(visit)
    new = NewSilence(endpoint=endpoint, for_s=form.for_s, why=form.why)
    made = visit.context.service(Alerts).silence(project, new)
    return Done(
        words=mark("Nobody is told of alerts about `%(endpoint)s` for a time; they are shown as ever"),
        values={"endpoint": endpoint},
        undo=Undo(to=visit.urls.endpoint(project, endpoint, "unsilence"), fields={"silence": made.id}),
    )


def unsilence(visit: Visit, form: UnsilenceForm) -> Done:
    """Tell of alerts again, of those that still stand open too."""
    project, endpoint = _endpoint(visit)
    visit.context.service(Alerts).unsilence(project, form.silence)
    return Done(words=mark("Alerts about `%(endpoint)s` are told again"), values={"endpoint": endpoint})


def _endpoint(visit: Visit) -> tuple[str, str]:
    return visit.parameters["project"], visit.parameters["endpoint"]


ACTIONS = (
    Action(path=f"{ENDPOINT_PATH}/silence", needs=WRITE_MONITORS, fields=SilenceForm, handle=silence),
    Action(path=f"{ENDPOINT_PATH}/unsilence", needs=WRITE_MONITORS, fields=UnsilenceForm, handle=unsilence),
)
