"""Which version answers a request."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from noria.core.errors import NotFound
from noria.core.ids import new_id
from noria.registry.entities import Origin, ServableVersion, Task
from noria.serving.modelserver.routes import LoadedVersion, Route, address_name, normalised
from support.serving import signature


def _loaded(version: int) -> LoadedVersion:
    entity = ServableVersion(
        id=f"{version}",
        project="default",
        model="digits",
        version=version,
        digest="blake3:00",
        format="none",
        task=Task.CLASSIFICATION,
        signature=signature(),
        classes=None,
        holdout=None,
        metrics={},
        origin=Origin(),
        message="",
        author="",
        created_at=datetime(2030, 1, 1, tzinfo=UTC),
        updated_at=datetime(2030, 1, 1, tzinfo=UTC),
    )
    return LoadedVersion(entity=entity, model=cast("Any", None))


def _route(weights: dict[int, float]) -> Route:
    return Route(
        project="default",
        endpoint="live",
        revision=1,
        versions={version: _loaded(version) for version in weights},
        shares=normalised(weights),
    )


def _choices(route: Route, keys: list[str]) -> list[int]:
    return [route.choose(key).entity.version for key in keys]


def test_requests_are_shared_by_weight() -> None:
    """Of many requests, each version gets about its share: within four standard deviations."""
    n = 20_000
    counts = Counter(_choices(_route({1: 0.9, 2: 0.1}), [new_id() for _ in range(n)]))

    assert abs(counts[2] - 0.1 * n) < 4 * (n * 0.1 * 0.9) ** 0.5
    assert counts.total() == n


def test_a_key_stays_with_its_version() -> None:
    """Equal keys get equal versions, and one that the new version answers stays with it while its weight grows."""
    keys = [f"user-{n}" for n in range(2000)]
    few, half = _choices(_route({1: 0.9, 2: 0.1}), keys), _choices(_route({1: 0.5, 2: 0.5}), keys)

    assert few == _choices(_route({1: 0.9, 2: 0.1}), keys)
    assert all(later == 2 for early, later in zip(few, half, strict=True) if early == 2)
    assert 2 in few


def test_endpoints_do_not_choose_alike() -> None:
    """A user who is among the first at one endpoint need not be so at all."""
    keys = [f"user-{n}" for n in range(2000)]
    one = _route({1: 0.5, 2: 0.5})
    other = Route(project="default", endpoint="other", revision=1, versions=one.versions, shares=one.shares)

    agreeing = sum(a == b for a, b in zip(_choices(one, keys), _choices(other, keys), strict=True))
    assert 0.4 < agreeing / len(keys) < 0.6


def test_a_version_of_weight_zero_gets_nothing_but_can_be_named() -> None:
    """That is how the next version is loaded before it answers."""
    route = _route({1: 1.0, 2: 0.0})

    assert set(_choices(route, [new_id() for _ in range(500)])) == {1}
    assert route.version("2").entity.version == 2


@pytest.mark.parametrize("number", ["9", "x", "", "-1", "1.0", "9" * 30])
def test_an_unknown_version_is_named_with_the_known(number: str) -> None:
    """Whatever stands in the address."""
    with pytest.raises(NotFound) as caught:
        _route({1: 1.0, 2: 0.0}).version(number)

    assert caught.value.hint == "It serves 1, 2"


def test_shares_of_what_is_left_sum_to_one() -> None:
    """When one version could not be loaded, the others take over its share."""
    assert normalised({1: 0.25, 2: 0.25}) == [(2, 0.5), (1, 0.5)]
    assert normalised({1: 0.0}) == [(1, 1.0)]
    assert normalised({1: 1.0, 2: 0.0}) == [(1, 1.0)]


def test_names_in_addresses_tell_projects_apart() -> None:
    """An endpoint of another project never takes a name away."""
    assert address_name("default", "live", "default") == "live"
    assert address_name("team", "live", "default") == "team:live"
