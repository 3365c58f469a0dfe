"""The addresses that start schedules: `POST /hooks/<project>/<schedule>`, signed.

Nobody signs in here: the signature is the proof. Whoever cannot sign learns nothing, not even which schedules there
are.
"""

from __future__ import annotations

import msgspec

from noria.core.adapters import Adapter, AdapterAnswer, AdapterRequest, AdapterRoute
from noria.core.errors import NoriaError, NotFound
from noria.core.http_errors import status_of
from noria.pipelines.schedules.entities import Schedule, ScheduleStatus
from noria.pipelines.schedules.permissions import CALL_HOOK
from noria.pipelines.schedules.rows import hold_named
from noria.pipelines.schedules.signing import hook_secret, refused, verify
from noria.pipelines.schedules.triggers import start_by_call

HOOKS_PATH = "/hooks"


def hook_path(schedule: Schedule) -> str:
    """Give the path of a schedule's address."""
    return f"{HOOKS_PATH}/{schedule.project}/{schedule.name}"


def call(request: AdapterRequest) -> AdapterAnswer:
    """Start a schedule, once for each identifier; 202 says that it will run, unless it is paused.

    Raises
    ------
    SignatureInvalid
        If the call is not signed with the schedule's secret, or old; also where there is no such schedule.
    """
    context = request.context
    try:
        with context.database.read() as connection:
            held = hold_named(connection, request.path["project"], request.path["name"])
    except NotFound as error:
        raise refused() from error
    secret = hook_secret(context.settings.folder, held.salt)
    call_id = verify(secret, request.headers, now=context.clock.now(), body=request.body)
    trigger = held.schedule.spec.on
    if trigger is None or not trigger.webhook:
        raise refused()
    start_by_call(context, held, call_id)
    accepted = held.schedule.status is ScheduleStatus.ACTIVE
    return AdapterAnswer(status=202, body=msgspec.json.encode({"id": call_id, "accepted": accepted}))


def refuse(error: NoriaError) -> AdapterAnswer:
    """Tell an error as JSON."""
    body = {"code": error.code, "message": error.message, "hint": error.hint}
    return AdapterAnswer(status=status_of(error), body=msgspec.json.encode(body))


ADAPTER = Adapter(
    name="hooks",
    prefixes=(f"{HOOKS_PATH}/",),
    routes=(
        AdapterRoute(method="POST", path=f"{HOOKS_PATH}/{{project}}/{{name}}", handle=call, needs=CALL_HOOK),
    ),
    refuse=refuse,
)
