"""Whom labels count against: what a model server says of its callers, whatever they say of themselves."""

from __future__ import annotations

from typing import cast

from noria.core.clock import SystemClock
from noria.core.gate import hosts_for
from noria.serving.keys import KEY_PREFIX, hash_key
from noria.serving.label_trust import LabelSection, LabelTrust
from noria.serving.modelserver.door import Door, Secrets
from noria.serving.modelserver.feedback import FeedbackRequest, stamp
from noria.serving.modelserver.link import Link
from noria.serving.modelserver.routes import Route
from noria.serving.plans import PlannedKey
from noria.serving.predictions import NewLabel

SECRET = f"{KEY_PREFIX}secret"
ROUTE = Route(
    project="default",
    endpoint="digits",
    revision=1,
    versions={},
    shares=[],
    guarded=True,
    keys={hash_key(SECRET): PlannedKey(id="k1", hash=hash_key(SECRET))},
)


def client_of(secret: str | None, route: Route | None = ROUTE) -> str | None:
    door = Door(
        hosts=hosts_for("127.0.0.1", ()),
        secrets=Secrets(key="the-workspace-key"),
        link=cast("Link", None),  # is not asked
        clock=SystemClock(),
        routes=lambda: {"default:digits": ROUTE},
        limit=lambda _key: None,
    )
    headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
    return door.client_of(route, headers, "10.0.0.7:51234")


def test_a_caller_is_known_by_its_key_or_else_by_its_address() -> None:
    """Also where the endpoint is looked up; who holds the key of the workspace speaks for clients of its own."""
    assert client_of(SECRET) == client_of(SECRET, None) == "key:k1"
    assert client_of(None) == client_of("other") == "address:10.0.0.7"
    assert client_of("the-workspace-key") is None


def test_what_callers_say_of_themselves_is_overwritten() -> None:
    """Unless they are our own."""
    request = FeedbackRequest(labels=[NewLabel(prediction_id="a", value=1, client="key:somebody")])

    assert stamp(request, "address:10.0.0.7").labels[0].client == "address:10.0.0.7"
    assert stamp(request, None) == request


def test_a_section_says_how_far_labels_are_trusted() -> None:
    """By source, by key, and by the way they came."""
    closed = LabelSection(untrusted=("button",), unguarded=LabelTrust.UNTRUSTED)
    keys = frozenset({"k1"})

    def trust(section: LabelSection, source: str | None, client: str | None) -> bool:
        found = section.trust(source=source, client=client, untrusted_key_ids=keys)
        return found is LabelTrust.TRUSTED

    assert trust(LabelSection(), None, "address:10.0.0.7")
    assert not trust(closed, None, "address:10.0.0.7")
    assert trust(closed, "lab", None)
    assert not trust(closed, "button", None)
    assert not trust(closed, "lab", "key:k1")
    assert trust(closed, "lab", "key:k2")
