"""Foreign protocols behind the gate: addresses, permissions, errors in their own words, streams."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from noria.access.projects import NewProject, Project, Projects
from noria.core.adapters import Adapter, AdapterAnswer, AdapterRequest, AdapterRoute, AdapterStream
from noria.core.admission import ANYONE
from noria.core.errors import Invalid, NoriaError
from noria.core.http_errors import status_of
from noria.core.permissions import Permission, Principal, Role
from noria.core.serialisation import to_json
from noria.server.adapter_routes import AdapterTable
from support.live_server import LiveServer

USE = Permission(name="old.use", roleless=True)
ANYBODY = Permission(name="old.look", public=True)


def tell(request: AdapterRequest) -> AdapterAnswer:
    told = {
        "path": dict(request.path),
        "query": dict(request.query),
        "body": request.body.decode(),
        "caller": request.context.principal.name,
    }
    return AdapterAnswer(body=to_json(told), headers={"x-old": "yes"})


def count(request: AdapterRequest) -> AdapterAnswer:
    assert request.upload is not None
    return AdapterAnswer(body=str(sum(len(chunk) for chunk in request.upload)).encode())


def stream(request: AdapterRequest) -> AdapterStream:
    def chunks() -> Iterator[bytes]:
        if request.query.get("fail"):
            raise Invalid("no such luck")
        yield b"one "
        yield b"two"

    return AdapterStream(chunks=chunks(), size_bytes=7, media_type="text/plain", status=206)


def make_project(request: AdapterRequest) -> AdapterAnswer:
    request.context.guarded(Projects).create(NewProject(name=request.body.decode()))
    return AdapterAnswer()


def read_project(request: AdapterRequest) -> AdapterAnswer:
    found: Project = request.context.guarded(Projects).get(request.path["name"])
    return AdapterAnswer(body=to_json(found))


def refuse(error: NoriaError) -> AdapterAnswer:
    return AdapterAnswer(status=status_of(error), body=to_json({"old_words": error.message}))


OLD = Adapter(
    name="old",
    prefixes=("/old/",),
    routes=[
        AdapterRoute(method="GET", path="/ping", handle=tell, needs=ANYBODY),
        AdapterRoute(method="POST", path="/old/tell", handle=tell, needs=USE),
        AdapterRoute(method="GET", path="/old/things/{name}/parts/{part}", handle=tell, needs=USE),
        AdapterRoute(method="GET", path="/old/files/{rest:path}", handle=tell, needs=USE),
        AdapterRoute(method="POST", path="/old/upload", handle=count, needs=USE, upload=True),
        AdapterRoute(method="GET", path="/old/stream", handle=stream, needs=USE),
        AdapterRoute(method="POST", path="/old/projects", handle=make_project, needs=USE),
        AdapterRoute(method="GET", path="/old/projects/{name}", handle=read_project, needs=USE),
    ],
    refuse=refuse,
)


@pytest.fixture(autouse=True)
def adapted(small_server: LiveServer) -> None:
    """Serve the protocol."""
    small_server.adapt(OLD)


def sign_in(server: LiveServer, principal: Principal) -> dict[str, str]:
    server.tokens["token"] = principal
    return {"authorization": "Bearer token"}


def test_addresses_give_their_parameters_decoded(stranger: httpx.Client) -> None:
    """A part holds what was encoded in it, a rest holds its slashes, and repeated names keep all values."""
    part = stranger.get("/old/things/a%20b/parts/c%2Fd?x=1&x=2&y=").json()
    rest = stranger.get("/old/files/a/b%2Fc/d.txt").json()
    empty = stranger.get("/old/files/").json()

    assert part["path"] == {"name": "a b", "part": "c/d"}
    assert part["query"] == {"x": ["1", "2"], "y": [""]}
    assert rest["path"] == {"rest": "a/b/c/d.txt"}
    assert empty["path"] == {"rest": ""}


def test_bodies_and_headers_pass(stranger: httpx.Client) -> None:
    """A handler reads the body and sets headers of its own; the security headers are there all the same."""
    answer = stranger.post("/old/tell", content=b"{}", headers={"content-type": "application/json"})

    assert answer.json()["body"] == "{}"
    assert answer.headers["x-old"] == "yes"
    assert answer.headers["x-frame-options"] == "DENY"


def test_uploads_and_streams_come_in_chunks(stranger: httpx.Client) -> None:
    """An upload passes the limit of bodies, and a stream has its own status and length."""
    kind = {"content-type": "application/octet-stream"}
    sent = stranger.post("/old/upload", content=b"x" * 500_000, headers=kind)
    got = stranger.get("/old/stream")

    assert sent.text == "500000"
    assert (got.status_code, got.text, got.headers["content-length"]) == (206, "one two", "7")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/old/nothing", 404),
        ("GET", "/old/tell", 405),
        ("GET", "/old/stream?fail=1", 400),
        ("GET", "/old/%ff", 400),
        ("GET", "/old/projects/none", 404),
    ],
)
def test_errors_below_a_prefix_are_told_in_the_words_of_the_protocol(
    stranger: httpx.Client, method: str, path: str, status: int
) -> None:
    """Whatever goes wrong, before a handler or in it, the client reads its own form."""
    answer = stranger.request(method, path)

    assert answer.status_code == status
    assert set(answer.json()) == {"old_words"}


def test_the_rest_of_the_server_keeps_its_own_words(stranger: httpx.Client) -> None:
    """An address that is no adapter's has Noria's answer."""
    assert stranger.get("/older").json()["code"] == "route_not_found"
    assert stranger.get("/health/live").json() == {"status": "live"}


def test_bodies_above_the_limit_are_refused(stranger: httpx.Client) -> None:
    """A body has the server's limit, and an upload its own."""
    kind = {"content-type": "application/json"}

    assert stranger.post("/old/tell", content=b"x" * 100_001, headers=kind).status_code == 413


def test_a_closed_server_lets_only_public_addresses_answer(
    small_server: LiveServer, stranger: httpx.Client
) -> None:
    """Somebody unknown reads what is public as `anyone`, and learns of nothing else."""
    small_server.is_open = False

    assert stranger.get("/ping").json()["caller"] == ANYONE.name
    assert {stranger.get(path).status_code for path in ("/old/stream", "/old/nothing", "/old/tell")} == {401}


def test_a_handler_may_do_only_what_its_caller_may(small_server: LiveServer, stranger: httpx.Client) -> None:
    """A guarded service asks for the operation's permission, in the project that is named."""
    member = Principal(name="eva", project_roles={"default": Role.VIEWER}, holds_key=True)
    headers = sign_in(small_server, member) | {"content-type": "application/json"}
    made = stranger.post("/old/projects", content=b"other", headers=headers)
    read = stranger.get("/old/projects/default", headers=headers)
    foreign = stranger.get("/old/projects/other", headers=headers)

    assert (made.status_code, read.status_code, foreign.status_code) == (403, 200, 403)
    assert read.json()["name"] == "default"


def test_a_narrow_token_needs_the_permission_of_the_route(
    small_server: LiveServer, stranger: httpx.Client
) -> None:
    """A token that lists other permissions does not open a protocol."""
    narrow = Principal(name="job", role=Role.ADMIN, holds_key=True, only=frozenset({"runs.write"}))

    assert stranger.get("/old/stream", headers=sign_in(small_server, narrow)).status_code == 403


def test_two_routes_of_one_address_are_refused() -> None:
    """A table in which a route hides another is an error when it is made."""
    with pytest.raises(TypeError, match="Two routes answer GET /ping"):
        AdapterTable([OLD, Adapter(name="again", prefixes=(), routes=[OLD.routes[0]], refuse=refuse)])
