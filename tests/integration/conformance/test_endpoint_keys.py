"""Keys of endpoints, the share that is captured, and what model servers tell of themselves."""

from __future__ import annotations

import pytest

from noria.access.audit import Audit
from noria.core.errors import Conflict, NotFound
from noria.core.workspace import Workspace
from noria.serving.entities import Deployment
from noria.serving.events import CAPTURES_DROPPED, CAPTURES_KEPT, WORKERS_REPLACED
from noria.serving.keys import CaptureShare, NewKey, hash_key
from noria.serving.plans import AppliedPlan, EndpointPlan, ServerReport, ServerStanding
from noria.serving.service import EndpointKeys, Endpoints
from support.conformance import Services
from support.serving import register_version


def _plan(services: Services) -> EndpointPlan:
    (plan,) = services(Endpoints).plans().plans or []
    return plan


def test_plans_carry_the_keys_that_are_good_and_the_share(services: Services, workspace: Workspace) -> None:
    """A guarded endpoint stays guarded, also without any key; each change is seen by the etag."""
    register_version(workspace)
    services(Endpoints).deploy("default", "live", Deployment(model="digits", version=1))
    keys, etags = services(EndpointKeys), [services(Endpoints).plans().etag]
    assert (_plan(services).guarded, _plan(services).capture_share) == (False, 1.0)

    issued = keys.create("default", "live", NewKey(name="shop", rate_per_s=5.0, burst=9))
    etags.append(services(Endpoints).plans().etag)
    (planned,) = _plan(services).keys
    assert (planned.hash, planned.rate_per_s, planned.burst) == (hash_key(issued.secret), 5.0, 9)
    with pytest.raises(Conflict, match="shop"):
        keys.create("default", "live", NewKey(name="shop"))
    keys.revoke("default", "live", issued.key.id)
    etags.append(services(Endpoints).plans().etag)
    assert (_plan(services).guarded, _plan(services).keys) == (True, [])
    with pytest.raises(NotFound):
        keys.revoke("default", "live", "shop")
    keys.set_capture_share("default", "live", CaptureShare(share=0.25))
    etags.append(services(Endpoints).plans().etag)

    assert keys.capture_share("default", "live").share == _plan(services).capture_share == 0.25
    assert keys.list("default", "live").items[0].revoked_at is not None
    assert len(set(etags)) == 4


def test_a_full_disk_and_replaced_workers_become_events(services: Services, workspace: Workspace) -> None:
    """One when it begins, one when it is over; a report that says the same again adds none."""
    register_version(workspace)
    services(Endpoints).deploy("default", "live", Deployment(model="digits", version=1))
    applied = [AppliedPlan(project="default", endpoint="live", revision=1)]
    for n_dropped, disk_full, n_replaced in ((0, False, 0), (7, True, 0), (9, True, 0), (9, False, 2)):
        standing = ServerStanding(n_workers=2, n_replaced=n_replaced, disk_full=disk_full)
        services(Endpoints).report(
            ServerReport(server="one", url=None, endpoints=applied, n_dropped=n_dropped, standing=standing)
        )

    def told(type_: str, figure: str) -> list[object]:
        return [event.payload[figure] for event in services(Audit).events(type=type_).items]

    assert told(CAPTURES_DROPPED, "n_dropped") == [7]
    assert told(CAPTURES_KEPT, "n_dropped") == [9]
    assert told(WORKERS_REPLACED, "n_replaced") == [2]
    (server,) = services(Endpoints).servers().items
    assert server.standing == ServerStanding(n_workers=2, n_replaced=2)
