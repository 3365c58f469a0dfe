"""MLflow's endpoints of webhooks, on each database."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import httpx
import pytest

from noria.core.context import Context
from noria.core.outbound.entities import OutboundSection
from support.other_side import other_side, say

ROOT = "/api/2.0/mlflow/webhooks"
URL = "https://hooks.example/x"
EVENTS = [{"entity": "MODEL_VERSION", "action": "CREATED"}]
REASONS = "See the API docs for more information about request parameters."


@pytest.fixture
def context(context: Context) -> Context:
    """Let the workspace call receivers on this machine."""
    sections = {"outbound": OutboundSection(allow=("127.0.0.1",))}
    return dataclasses.replace(context, settings=dataclasses.replace(context.settings, sections=sections))


def create(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    body = {"name": "hook", "url": URL, "events": EVENTS, **fields}
    answer = http.post(ROOT, json=body)
    assert answer.status_code == 200, answer.text
    webhook: dict[str, Any] = answer.json()["webhook"]
    return webhook


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["error_code"], body["message"]


def test_a_webhook_is_answered_as_mlflow_does(http: httpx.Client) -> None:
    """What was given comes back, with numbers for times, and without the secret and what is unset."""
    webhook = create(http)
    other = create(http, description="why", secret="s3cret", status="DISABLED")

    assert {key: webhook[key] for key in ("name", "url", "events", "status")} == {
        "name": "hook",
        "url": URL,
        "events": EVENTS,
        "status": "ACTIVE",
    }
    assert set(webhook) == {
        *("webhook_id", "name", "url", "events", "status"),
        *("creation_timestamp", "last_updated_timestamp"),
    }
    assert isinstance(webhook["creation_timestamp"], int)
    assert (other["description"], other["status"]) == ("why", "DISABLED")
    assert "s3cret" not in json.dumps(other)
    assert http.get(f"{ROOT}/{webhook['webhook_id']}").json() == {"webhook": webhook}
    assert http.get(f"/ajax-api/2.0/mlflow/webhooks/{other['webhook_id']}").json() == {"webhook": other}


def test_enums_may_be_numbers(http: httpx.Client) -> None:
    """Protocol buffers in JSON may name a member by its number."""
    webhook = create(http, events=[{"entity": 4, "action": 3}], status=2)

    assert webhook["events"] == [{"entity": "MODEL_VERSION_ALIAS", "action": "DELETED"}]
    assert webhook["status"] == "DISABLED"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, f"Missing value for required parameter 'name'. {REASONS}"),
        ({"url": None}, f"Missing value for required parameter 'url'. {REASONS}"),
        ({"events": None}, f"Missing value for required parameter 'events'. {REASONS}"),
        ({"events": []}, "Webhook events must be a non-empty list of WebhookEvent objects: []."),
        (
            {"name": 5},
            f"Invalid value 5 for parameter 'name' supplied:  Hint: Value was of type 'int'. {REASONS}",
        ),
        ({"url": "   "}, "Webhook URL cannot be empty or just whitespace: '   '"),
        ({"url": "ftp://h"}, "Invalid webhook URL scheme: 'ftp'. Allowed schemes are: http, https."),
        ({"url": "http://[inv"}, "Invalid webhook URL 'http://[inv': ValueError('Invalid IPv6 URL')"),
        ({"url": "http:///p"}, "Webhook URL must include a hostname: 'http:///p'"),
        (
            {"events": [{"entity": "REGISTERED_MODEL", "action": "SET"}]},
            "Invalid action 'set' for entity 'registered_model'. Valid actions are: ['created']",
        ),
    ],
)
@pytest.mark.alike
def test_what_is_wrong_is_told_in_mlflows_words(
    http: httpx.Client, change: dict[str, Any], message: str
) -> None:
    """Each mistake has the error code and the message that clients know, and makes nothing."""
    body = {"name": "hook", "url": URL, "events": EVENTS} | change
    answer = http.post(ROOT, json={key: value for key, value in body.items() if value is not None})

    assert refusal(answer) == (400, "INVALID_PARAMETER_VALUE", message)
    assert http.get(ROOT).json() == {}


@pytest.mark.parametrize("name", ["-a", "a-", "a b", "ñ", "x" * 64, "a\n"])
@pytest.mark.alike
def test_a_wrong_name_is_refused(http: httpx.Client, name: str) -> None:
    """Names are told with the rule for them, at creation as at a change."""
    webhook = create(http)
    for answer in (
        http.post(ROOT, json={"name": name, "url": URL, "events": EVENTS}),
        http.patch(f"{ROOT}/{webhook['webhook_id']}", json={"name": name}),
    ):
        status, code, message = refusal(answer)
        assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
        assert message.startswith(f"Webhook name {name!r} is invalid. It must start and end with a letter")


@pytest.mark.parametrize(
    "events",
    [[{"entity": "NOPE", "action": "SET"}], [{}], [{"entity": "PROMPT"}], [{"entity": 99, "action": 1}]],
)
@pytest.mark.alike
def test_events_that_are_none_are_refused(http: httpx.Client, events: list[dict[str, Any]]) -> None:
    """An event that nobody knows is a mistake of the caller, not of the server."""
    status, code, message = refusal(http.post(ROOT, json={"name": "a", "url": URL, "events": events}))

    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "REGISTERED_MODEL" in message or "99" in message


def test_addresses_are_not_resolved_when_they_are_named(http: httpx.Client) -> None:
    """A host that does not exist, or leads inwards, can be named; it is refused when it is called."""
    for url in ("https://no-such-host.invalid/x", "http://169.254.169.254/"):
        webhook = create(http, url=url)
        result = http.post(f"{ROOT}/{webhook['webhook_id']}/test", json={}).json()["result"]

        assert result["success"] is False
        assert result["error_message"].startswith("Failed to test webhook: ")
        assert "response_status" not in result


def test_pages_go_through_all(http: httpx.Client) -> None:
    """Pages are newest first, 100 unless asked for otherwise, and end without a token."""
    made = [create(http)["webhook_id"] for _ in range(5)]
    found: list[str] = []
    query: dict[str, Any] = {"max_results": 2}
    while True:
        page = http.get(ROOT, params=query).json()
        found += [webhook["webhook_id"] for webhook in page["webhooks"]]
        if "next_page_token" not in page:
            break
        query["page_token"] = page["next_page_token"]

    assert found == made[::-1]
    assert len(http.get(ROOT, params={"max_results": 0}).json()["webhooks"]) == 5


@pytest.mark.parametrize("query", ["max_results=1001", "max_results=-1", "max_results=abc", "page_token=xyz"])
@pytest.mark.alike
def test_pages_that_cannot_be_are_refused(http: httpx.Client, query: str) -> None:
    """A page of a wrong size or token is the caller's mistake."""
    status, code, message = refusal(http.get(f"{ROOT}?{query}"))

    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    if query in ("max_results=1001", "max_results=-1"):
        assert message == "max_results must be between 1 and 1000."


def test_only_what_is_given_changes(http: httpx.Client) -> None:
    """Empty names, addresses and lists change nothing; an empty description is one; the time always moves."""
    webhook = create(http, description="before")
    path = f"{ROOT}/{webhook['webhook_id']}"
    untouched = http.patch(path, json={"name": "", "url": "", "events": []}).json()["webhook"]
    changed = http.patch(
        path,
        json={
            "name": "after",
            "url": "http://after.example/",
            "events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}, *EVENTS],
            "description": "",
            "secret": "x",
            "status": "DISABLED",
        },
    ).json()["webhook"]

    assert untouched | {"last_updated_timestamp": 0} == webhook | {"last_updated_timestamp": 0}
    assert changed["name"] == "after"
    assert changed["url"] == "http://after.example/"
    assert [event["entity"] for event in changed["events"]] == ["REGISTERED_MODEL", "MODEL_VERSION"]
    assert "description" not in changed
    assert changed["status"] == "DISABLED"
    times = [each["last_updated_timestamp"] for each in (webhook, untouched, changed)]
    assert times == sorted(set(times))


def test_what_is_not_there_is_told_with_its_id(http: httpx.Client) -> None:
    """Every endpoint of one webhook says which is missing."""
    gone = create(http)["webhook_id"]
    assert http.request("DELETE", f"{ROOT}/{gone}", json={}).json() == {}

    for webhook_id in (gone, "nonexistent"):
        for answer in (
            http.get(f"{ROOT}/{webhook_id}"),
            http.patch(f"{ROOT}/{webhook_id}", json={"name": "-"}),
            http.delete(f"{ROOT}/{webhook_id}"),
            http.post(f"{ROOT}/{webhook_id}/test", json={}),
        ):
            message = f"Webhook with ID {webhook_id} not found."
            assert refusal(answer) == (404, "RESOURCE_DOES_NOT_EXIST", message)


def test_a_test_shows_how_the_receiver_answers(http: httpx.Client) -> None:
    """A call with made-up data of the first event or of another one; a refusal is no error of the call."""
    with other_side(say(200, b"thanks")) as receiver, other_side(say(404, b"nothing here")) as refusing:
        webhook = create(http, url=f"http://127.0.0.1:{receiver.port}/x", secret="s")
        path = f"{ROOT}/{webhook['webhook_id']}/test"
        first = http.post(path, json={}).json()
        other = http.post(path, json={"event": {"entity": "PROMPT", "action": "CREATED"}}).json()
        wrong = http.post(path, json={"event": {"entity": "PROMPT", "action": "SET"}})
        http.patch(f"{ROOT}/{webhook['webhook_id']}", json={"url": f"http://127.0.0.1:{refusing.port}/"})
        refused = http.post(path, json={}).json()

    assert first == other == {"result": {"success": True, "response_status": 200, "response_body": "thanks"}}
    assert refusal(wrong)[2] == "Invalid action 'set' for entity 'prompt'. Valid actions are: ['created']"
    assert refused["result"] == {"success": False, "response_status": 404, "response_body": "nothing here"}
    bodies = [json.loads(body) for _, _, _, body in receiver.requests]
    assert [(body["entity"], body["data"]["name"]) for body in bodies] == [
        ("model_version", "example_model"),
        ("prompt", "example_prompt"),
    ]
