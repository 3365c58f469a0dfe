"""What a model server uses of its machine, on the page of an endpoint, over real HTTP."""

from __future__ import annotations

from noria.core.context import Context
from noria.serving.plans import AppliedPlan, ServerReport, ServerStanding
from noria.serving.service import Endpoints
from support.pages import Reader
from support.wheel import PROJECT, turn_once

DIGITS = f"/projects/{PROJECT}/endpoints/digits"


def test_memory_and_processors_stand_beside_the_workers(reader: Reader, context: Context) -> None:
    """As the server said last; one of an older release, which does not say, shows neither."""
    turn_once(context)
    endpoints = context.service(Endpoints)
    revision = endpoints.get(PROJECT, "digits").revision
    applied = [AppliedPlan(project=PROJECT, endpoint="digits", revision=revision)]

    def say(standing: ServerStanding) -> str:
        endpoints.report(ServerReport(server="one", url=None, endpoints=applied, standing=standing))
        return reader.text(DIGITS)

    assert "of memory" not in say(ServerStanding(n_workers=2))
    used = ServerStanding(n_workers=2, memory_bytes=3 << 20, cpu_s=60.0, n_processors=0.5)
    shown = say(used)
    assert "3 MiB of memory · 0.5 processors busy" in shown, shown[shown.find("of memory") - 60 :][:120]
