"""A follower of plans that were kept on disk says when it is ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from noria.core.errors import Unavailable
from noria.core.serialisation import to_json
from noria.serving.modelserver.follower import Follower, Identity
from noria.serving.plans import PlanSet
from support.waiting import wait_until


class Away:
    """A control server that does not answer, and a store that holds nothing."""

    def service(self, _cls: type[Any]) -> Any:
        raise Unavailable("the control server is away")

    def keep_only(self, digests: set[str]) -> None:
        assert digests == set()


@pytest.mark.parametrize(("only", "ready"), [(None, True), (("default", "iris"), False)])
def test_old_plans_make_no_server_ready_for_a_newer_endpoint(
    tmp_path: Path, only: tuple[str, str] | None, ready: bool
) -> None:
    """Plans of before the endpoint was made are followed, and say nothing of the only one that is wanted."""
    plans = tmp_path / "plans.json"
    plans.write_bytes(to_json(PlanSet(etag="old", plans=[])))
    away: Any = Away()
    follower = Follower(
        link=away,
        store=away,
        plans_file=plans,
        identity=Identity(home="default", only=only),
        tell=lambda _plans: None,
    )
    follower.start()
    wait_until(lambda: follower.has_looked, 60, "the follower looked")
    is_ready = follower.is_ready
    follower.stop(60)

    assert is_ready is ready
