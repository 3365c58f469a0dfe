"""A walk over every route: who may and who may not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler

from noria.access.signing_in import PasswordDoor
from noria.core.admission import KeyRequired
from noria.core.context import Context
from noria.core.gate import hosts_for
from noria.core.operations import Operation, operations_of
from noria.core.permissions import Permission, Principal, Role
from noria.core.remote import API
from noria.core.web.urls import SIGN_IN_PATH
from noria.server.app import Door, create_app
from noria.server.assembly import load_actions, load_pages, load_services
from noria.server.entities import ServerSection
from noria.server.threads import Threads
from support.live_server import LiveServer

OPERATIONS = [operation for cls in load_services() for operation in operations_of(cls)]
GUARDED = [operation for operation in OPERATIONS if not operation.declaration.needs.public]


@pytest.fixture(autouse=True)
def every_route(small_server: LiveServer) -> None:
    """Serve every service of the assembly."""
    small_server.offer(*load_services())


@pytest.fixture
def call(small_server: LiveServer, stranger: httpx.Client) -> Caller:
    """Give what calls an operation as somebody."""
    return Caller(small_server, stranger)


class Caller:
    """Calls operations with the least that a request needs, and tells the status and code of the answer."""

    def __init__(self, server: LiveServer, client: httpx.Client) -> None:
        self._server = server
        self._client = client

    def __call__(self, operation: Operation, principal: Principal | None = None) -> tuple[int, str]:
        """Call an operation as a principal, or as nobody."""
        # A server that refuses an upload unread closes the connection, which the next request would meet.
        headers = {"connection": "close"}
        if principal is not None:
            self._server.tokens["token"] = principal
            headers["authorization"] = "Bearer token"
        content = None
        if operation.upload_parameter is not None:
            content, headers["content-type"] = b"", "application/octet-stream"
        elif operation.body_parameter is not None:
            # No body that would do anything: a caller who is let in fails at the body, after the gate.
            content, headers["content-type"] = b"!", "application/json"
        path = re.sub(r"\{[a-z_]+\}", "1", operation.declaration.path.replace("{project}", "default"))
        answer = self._client.request(
            operation.declaration.method, API + path, headers=headers, content=content
        )
        if answer.is_success or answer.headers.get("content-type") != "application/json":
            return answer.status_code, ""
        return answer.status_code, answer.json()["code"]


def only_role(role: Role) -> Principal:
    """Give somebody with one role everywhere and every key."""
    return Principal(name="walker", role=role, holds_key=True)


def is_refusal(answer: tuple[int, str]) -> bool:
    """Tell whether the gate refused."""
    return answer[0] in (401, 403)


def test_nobody_gets_in_without_a_credential(small_server: LiveServer, call: Caller) -> None:
    """On a closed server every operation but the sign-in asks a stranger to sign in."""
    small_server.is_open = False
    answers = {operation.id: call(operation) for operation in GUARDED}

    assert set(answers.values()) == {(401, "unauthenticated")}
    assert len(answers) == len(OPERATIONS) - 1


@pytest.mark.parametrize("role", list(Role))
def test_a_role_opens_exactly_what_it_contains(call: Caller, role: Role) -> None:
    """Each role passes the gate for the operations of itself and of the lesser roles, and for no others."""
    principal = only_role(role)
    refused = {operation.id for operation in GUARDED if is_refusal(call(operation, principal))}
    expected = {
        operation.id
        for operation in GUARDED
        if not operation.declaration.needs.roleless and not role.contains(operation.declaration.needs.role)
    }

    assert refused == expected


SEARCHES = {
    "evaluation-datasets.search",
    "experiments.search",
    "issues.search",
    "logged-models.search",
    "objects.fetch",
    "objects.missing",
    "registry.models",
    "registry.versions",
    "runs.search",
    "runs.search_numbers",
    "scorers.samplings",
    "scorers.search",
    "traces.correlation",
    "traces.find",
    "traces.search",
    "traces.statistics",
}
"""Reading whose question is too long for an address."""
OWN = {
    "tokens.create",
    "tokens.revoke",
    "users.set_password",
    "webhooks.create",
    "webhooks.delete",
    "webhooks.test",
    "webhooks.update",
}
"""What everybody has of their own; a webhook tells only what its owner may read."""
BY_ID = {"runs-by-id.amend", "runs-by-id.log", "runs-by-id.start"}
"""The project is found by the id, so it is the operation that asks for the role in it."""


def test_a_viewer_changes_nothing(small_server: LiveServer, stranger: httpx.Client, call: Caller) -> None:
    """What a viewer is let in to is reading, asking, and minding what is one's own."""
    viewer = only_role(Role.VIEWER)
    let_in = {
        operation.id
        for operation in GUARDED
        if operation.declaration.method != "GET" and not is_refusal(call(operation, viewer))
    }

    assert let_in == SEARCHES | OWN | BY_ID
    small_server.tokens["token"] = only_role(Role.SCIENTIST)
    made = stranger.post(f"{API}/projects/default/runs", json={}, headers={"authorization": "Bearer token"})
    small_server.tokens["token"] = viewer
    token = {"authorization": "Bearer token"}
    run = f"{API}/runs/{made.json()['id']}"
    answers = [
        stranger.post(f"{API}/experiments/0/runs", json={}, headers=token),
        stranger.post(f"{run}/log", json={"params": {"a": "1"}}, headers=token),
        stranger.patch(run, json={"name": "mine"}, headers=token),
    ]
    assert {answer.status_code for answer in answers} == {403}


def test_a_role_in_one_project_is_none_in_another(call: Caller) -> None:
    """An admin of another project is refused everywhere else, and in the workspace as a whole."""
    stranger = Principal(name="walker", project_roles={"energy": Role.ADMIN}, holds_key=True)
    local = Principal(name="walker", project_roles={"default": Role.ADMIN}, holds_key=True)
    guarded = [operation for operation in GUARDED if not operation.declaration.needs.roleless]

    assert [operation.id for operation in guarded if not is_refusal(call(operation, stranger))] == []
    assert {operation.id for operation in guarded if is_refusal(call(operation, local))} == {
        operation.id for operation in guarded if "project" not in operation.path_parameters
    }


def test_a_narrow_token_opens_only_what_it_lists(call: Caller) -> None:
    """With every role and key, a token that lists one permission passes for that one alone."""
    names = sorted({operation.declaration.needs.name for operation in GUARDED})
    for name in names[::7]:
        narrow = Principal(name="walker", role=Role.ADMIN, holds_key=True, only=frozenset({name}))
        opened = {operation.id for operation in GUARDED if not is_refusal(call(operation, narrow))}

        assert opened == {operation.id for operation in GUARDED if operation.declaration.needs.name == name}
    nothing = Principal(name="walker", role=Role.ADMIN, holds_key=True, only=frozenset())

    assert [operation.id for operation in GUARDED if not is_refusal(call(operation, nothing))] == []


def test_an_open_server_keeps_what_needs_the_key(call: Caller) -> None:
    """Whoever reaches an open loopback server may use it, but runs no code on it and makes no credentials."""
    asked_for_key = {operation.id for operation in OPERATIONS if call(operation)[1] == KeyRequired.code}

    assert asked_for_key == {operation.id for operation in OPERATIONS if operation.declaration.needs.key}
    assert {"tokens.create", "users.create", "users.set_password"} <= asked_for_key


def test_what_the_server_has_of_its_own_is_guarded_too(
    small_server: LiveServer, stranger: httpx.Client
) -> None:
    """The description of the API is for whoever is known; health is for everybody."""
    small_server.is_open = False
    small_server.tokens["token"] = Principal(name="walker", holds_key=True)
    described = stranger.get(f"{API}/openapi.json", headers={"authorization": "Bearer token"})

    assert stranger.get(f"{API}/openapi.json").status_code == 401
    assert stranger.get("/health/live").status_code == 200
    assert stranger.get("/health/ready").status_code == 200
    assert {
        entry["operationId"] for path in described.json()["paths"].values() for entry in path.values()
    } >= {operation.id for operation in OPERATIONS}


PAGES = load_pages()
ACTIONS = load_actions()


class Visitor:
    """Asks for pages and sends empty forms as somebody, and tells whether the gate let them in."""

    def __init__(self, server: LiveServer, client: httpx.Client) -> None:
        self._server = server
        self._client = client
        server.show(PAGES, ACTIONS)

    def __call__(self, path: str, method: str, principal: Principal | None) -> str:
        """Give the status of the gate's refusal, or an empty text."""
        headers = {"accept": "text/html", "origin": self._server.url}
        if principal is not None:
            self._server.tokens["token"] = principal
            headers["authorization"] = "Bearer token"
        if method == "POST":
            headers["content-type"] = "application/x-www-form-urlencoded"
        address = re.sub(r"\{[a-z_]+\}", "1", path.replace("{project}", "default"))
        answer = self._client.request(
            method, address, headers=headers, content=b"" if method == "POST" else None
        )
        refused = answer.status_code in (303, 401) or (
            answer.status_code == 403 and re.search("may not do this|needs the workspace key", answer.text)
        )
        return str(answer.status_code) if refused else ""

    def refused(self, principal: Principal | None) -> dict[str, str]:
        """Give all addresses that are closed to somebody, with the status."""
        asked = [(page.path, "GET") for page in PAGES] + [(action.path, "POST") for action in ACTIONS]
        answers = {f"{method} {path}": self(path, method, principal) for path, method in asked}
        return {address: status for address, status in answers.items() if status}


@pytest.fixture
def visitor(small_server: LiveServer, stranger: httpx.Client) -> Iterator[Visitor]:
    """Give what visits every page and action of the assembly."""
    yield Visitor(small_server, stranger)
    small_server.show([])


def closed_by(principal: Principal | None) -> set[str]:
    """Give the addresses whose permission somebody does not hold."""
    needs = {f"GET {page.path}": page.needs for page in PAGES}
    needs |= {f"POST {action.path}": action.needs for action in ACTIONS}
    return {
        address
        for address, permission in needs.items()
        if not permission.public
        and (
            principal is None or not principal.may(permission, "default" if "{project}" in address else None)
        )
    }


def test_a_stranger_reads_and_does_nothing(small_server: LiveServer, visitor: Visitor) -> None:
    """On a closed server every page but the one to sign in leads there, and every action asks to sign in."""
    small_server.is_open = False
    refused = visitor.refused(None)

    assert set(refused) == closed_by(None)
    assert set(refused) == {f"GET {page.path}" for page in PAGES if page.path != SIGN_IN_PATH} | {
        f"POST {action.path}" for action in ACTIONS if not action.needs.public
    }
    assert {status for address, status in refused.items() if address.startswith("GET")} == {"303"}
    assert {status for address, status in refused.items() if address.startswith("POST")} == {"401"}


@pytest.mark.parametrize(
    "principal",
    [
        *(only_role(role) for role in Role),
        Principal(name="walker", project_roles={"energy": Role.ADMIN}, holds_key=True),
        Principal(name="walker", project_roles={"default": Role.ADMIN}, holds_key=True),
        Principal(name="walker", role=Role.ADMIN, holds_key=False),
        Principal(name="walker", role=Role.ADMIN, holds_key=True, only=frozenset({"runs.read"})),
    ],
    ids=["viewer", "scientist", "engineer", "admin", "elsewhere", "local", "keyless", "narrow"],
)
def test_pages_and_actions_open_to_who_holds_their_permission(visitor: Visitor, principal: Principal) -> None:
    """The gate before pages and their actions is the one before the operations."""
    assert set(visitor.refused(principal)) == closed_by(principal)


@pytest.fixture
def threads() -> Iterator[Threads]:
    """Give threads for an application that is only made."""
    made = Threads(n_requests=1, n_transfers=1)
    yield made
    made.close()


@pytest.mark.parametrize(
    "opt", [{}, {"permission": None}, {"permission": "runs.read"}, {"permision": Permission(name="x")}]
)
def test_a_route_without_a_permission_is_refused_at_the_start(
    context: Context, threads: Threads, opt: dict[str, object]
) -> None:
    """Whoever adds a page and forgets its permission finds out before anyone visits it."""

    async def page() -> None:
        """Answer nothing."""

    forgotten = HTTPRouteHandler("/pages/forgotten", http_method="GET", opt=opt, status_code=204)(page)
    door = Door(
        key="k",
        authenticate=lambda _c, _s: None,
        sign_in=PasswordDoor().sign_in,
        is_open=lambda _c: True,
        hosts=hosts_for("127.0.0.1"),
    )
    with pytest.raises(TypeError, match=r"/pages/forgotten.* declares no permission"):
        create_app(
            lambda: context,
            services=[],
            door=door,
            section=ServerSection(),
            threads=threads,
            pages=[forgotten],
        )
