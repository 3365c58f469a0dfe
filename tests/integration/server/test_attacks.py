"""What strangers, web pages and broken programs send, against a real server."""

from __future__ import annotations

import socket
import time
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from noria.access.entities import NewUser
from noria.access.users import Users
from noria.core.context import Context
from noria.core.errors import ErrorBody
from noria.core.gate import SECURITY_HEADERS
from noria.core.permissions import Principal, Role
from noria.core.remote import HttpTransport
from support.live_server import KEY, LiveServer

BODY = "/api/v1/echo/body"
JSON = {"content-type": "application/json"}


def error_of(answer: httpx.Response) -> ErrorBody:
    """Read the one form that every error has."""
    assert answer.headers["content-type"] == "application/json"
    return msgspec.json.decode(answer.content, type=ErrorBody, strict=True)


def read_answers(connection: socket.socket, n: int) -> bytes:
    """Give what comes back until there are so many answers, or the server closes."""
    gathered = b""
    while gathered.count(b"HTTP/1.1 ") < n or not gathered.endswith(b"}"):
        received = connection.recv(65536)
        if not received:
            break
        gathered += received
    return gathered


def say(server: LiveServer, request: bytes) -> bytes:
    """Send bytes as they are, and give what comes back until the server closes or answers."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        connection.sendall(request)
        gathered = b""
        while b"\r\n\r\n" not in gathered:
            received = connection.recv(65536)
            if not received:
                break
            gathered += received
        return gathered


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "localhost@evil.example", "[::2]", ":1"],
)
@pytest.mark.parametrize(
    "path", ["/health/live", "/api/v1/echo/maybe", "/api/v1/nothing", "/api/v1/openapi.json"]
)
def test_a_rebound_name_reaches_nothing(stranger: httpx.Client, host: str, path: str) -> None:
    """Under a name that is not the server's own no route answers, not even health."""
    answer = stranger.get(path, headers={"host": host})

    assert answer.status_code in (400, 403)
    assert "there" not in answer.text


@pytest.mark.parametrize(
    "host", ["localhost:{port}", "127.0.0.1:{port}", "localhost:1", "noria.example", "[::1]"]
)
def test_the_servers_own_names_are_answered(
    small_server: LiveServer, stranger: httpx.Client, host: str
) -> None:
    """Loopback names, a tunnel's port, and names from the settings are the server's own."""
    port = urlsplit(small_server.url).port
    answer = stranger.get("/health/live", headers={"host": host.format(port=port)})

    assert answer.json() == {"status": "live"}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"origin": "https://127.0.0.1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_writes_nothing(stranger: httpx.Client, headers: dict[str, str]) -> None:
    """A write that a browser says comes from elsewhere is refused, whatever it carries."""
    answer = stranger.post(BODY, json={"text": "x"}, headers=headers)

    assert answer.status_code == 403
    assert error_of(answer).code == "origin_refused"


def test_a_page_of_the_server_itself_writes(small_server: LiveServer, stranger: httpx.Client) -> None:
    """The server's own origin is let in."""
    headers = {"origin": small_server.url, "sec-fetch-site": "same-origin"}

    assert stranger.post(BODY, json={"text": "x"}, headers=headers).json()["text"] == "x"


@pytest.mark.parametrize(
    "send",
    [
        lambda client: client.post(BODY, data={"text": "x"}),
        lambda client: client.post(BODY, files={"text": b"x"}),
        lambda client: client.post(BODY, content=b'{"text":"x"}', headers={"content-type": "text/plain"}),
        lambda client: client.post(BODY, content=b'{"text":"x"}'),
        lambda client: client.post(
            BODY, content=b'{"text":"x"}', headers={"content-type": "application/xml"}
        ),
        lambda client: client.post(
            BODY, content=b'{"text":"x"}', headers={"content-type": "application/octet-stream"}
        ),
        lambda client: client.post("/api/v1/echo/upload", json={}),
    ],
)
def test_a_body_of_another_type_is_refused(
    stranger: httpx.Client, send: Callable[[httpx.Client], httpx.Response]
) -> None:
    """What a form can send, and what the operation does not take, is refused by its type."""
    answer = send(stranger)

    assert answer.status_code == 415
    assert error_of(answer).code == "content_type_refused"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no body"),
        (b"{", "truncated"),
        (b"null", "Expected `object`"),
        (b"[]", "Expected `object`"),
        (b'{"text": 1}', "$.text"),
        (b"{}", "`text`"),
        (b'{"text": "x", "figure": "1.0"}', "$.figure"),
        (b'{"text": "x", "figure": NaN}', "invalid"),
        (b'{"text": "x", "figure": 1e999}', "range"),
        (b'{"text": "x", "nested": {"a": 99999999999999999999999}}', "64 bits"),
        (b'{"text": "x", "nested": {"a": -9223372036854775809}}', "64 bits"),
        (b'{"text": "x", "parts": [null]}', "$.parts[0]"),
        (b'{"text": "\xff"}', "UTF-8"),
        (b'{"text": "x"} trailing', "trailing"),
        (b"[" * 90_000, "Expected `object`"),
    ],
)
def test_bad_json_names_what_is_wrong(stranger: httpx.Client, body: bytes, message: str) -> None:
    """Missing, mistyped and malformed bodies are errors that name the field or the place."""
    answer = stranger.post(BODY, content=body, headers=JSON)

    assert answer.status_code == 400
    assert message.lower() in error_of(answer).message.lower()


def test_a_body_as_deep_as_a_well_is_refused(stranger: httpx.Client) -> None:
    """Nesting without end exhausts nothing."""
    body = b'{"code":"invalid","message":"m","details":{"a":' + b"[" * 90_000 + b"}"

    assert stranger.post("/api/v1/echo/raise", content=body, headers=JSON).status_code == 400


def test_many_digits_are_a_number_only_outside_of_text(stranger: httpx.Client) -> None:
    """Long digits in a text, in a fraction, and the largest numbers of 64 bits arrive."""
    said = {"text": "9" * 40, "figure": 0.1234567890123456789, "nested": {"a": 2**63 - 1, "b": -(2**63)}}
    answer = stranger.post(BODY, json=said)

    assert answer.json() == {**said, "parts": []}


def test_a_misspelt_field_is_named_with_the_right_one(stranger: httpx.Client) -> None:
    """An unknown field is refused, and the near one is proposed."""
    error = error_of(stranger.post(BODY, json={"text": "x", "figur": 1}))

    assert error.message.endswith("unknown field `figur`")
    assert error.hint == "Did you mean `figure`?"


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("?wrod=x", "`echo.plain` has no query parameter `wrod`", "Did you mean `word`?"),
        ("?word=x&word=y", "given twice", None),
        ("?count=1.5", "`count`", None),
        ("?flag=perhaps", "`flag`", None),
        ("?shade=grey", "`shade`", None),
        ("?count=99999999999999999999999999999999999999", "`count`", None),
        ("?word", "cannot be read", None),
        ("?word=%ff", "cannot be read", None),
        ("?word=%00", "control character", None),
        ("?" + "&".join(f"words={n}" for n in range(300)), "cannot be read", None),
    ],
)
def test_a_bad_query_names_what_is_wrong(
    stranger: httpx.Client, query: str, message: str, hint: str | None
) -> None:
    """Unknown, repeated and mistyped parameters are errors, and a near name is proposed."""
    answer = stranger.get("/api/v1/echo/plain/x/1" + query)
    error = error_of(answer)

    assert answer.status_code == 400
    assert message in error.message
    assert hint is None or error.hint == hint


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/echo/plain/../../../etc/passwd/1", 404),
        ("/api/v1/echo/plain/%2e%2e%2f%2e%2e%2fetc%2fpasswd/1", 200),
        ("/api/v1/echo/plain/%2e%2e/1", 200),
        ("/api/v1/echo/plain/x%00/1", 400),
        ("/api/v1/echo/plain/x%0d%0aset-cookie:a/1", 400),
        ("/api/v1/echo/plain/%ff/1", 400),
        ("/api/v1/echo/plain/x%1fy/1", 400),
        ("/api/v1/echo/plain/x/one", 400),
        ("//api/v1/echo/maybe", 200),
        ("/api/v1/echo/maybe/", 200),
        ("/API/V1/echo/maybe", 404),
    ],
)
def test_a_path_is_what_it_says_and_leads_nowhere_else(
    small_server: LiveServer, transport: HttpTransport, path: str, status: int
) -> None:
    """Dots, escaped slashes and control characters in a parameter never reach another route or a file."""
    request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    answer = say(small_server, request.encode())

    assert int(answer.split()[1]) == status
    assert b"root:" not in answer
    assert b"set-cookie" not in answer.lower().partition(b"\r\n\r\n")[0]


def test_a_slash_in_a_parameter_does_not_choose_another_project(
    small_server: LiveServer, stranger: httpx.Client
) -> None:
    """The gate checks the role in the project that the route sees, however the path is written."""
    small_server.is_open = False
    small_server.tokens["t"] = Principal(name="ali", project_roles={"energy": Role.ADMIN}, holds_key=True)
    headers = {"authorization": "Bearer t"}

    def delete(path: str) -> int:
        return stranger.request("DELETE", path, headers=headers).status_code

    assert delete("/api/v1/projects/energy/echo") == 204
    assert delete("/api/v1/projects/default/echo") == 403
    assert delete("/api/v1/projects/energy%2F..%2Fdefault/echo") == 403
    assert delete("/api/v1/projects/default%2F..%2Fenergy/echo") == 403
    assert delete("/api/v1/projects//energy/echo") == 204


def test_a_body_that_is_too_large_is_refused(small_server: LiveServer, stranger: httpx.Client) -> None:
    """A JSON body above the limit is refused as soon as it is known, told or streamed."""
    told = stranger.post(BODY, content=b'"' + b"x" * 200_000 + b'"', headers=JSON)
    streamed = stranger.post(BODY, content=iter([b"x" * 60_000] * 4), headers=JSON)
    lied = say(
        small_server,
        b"POST /api/v1/echo/upload HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n"
        b"content-length: 999999999999\r\n\r\n",
    )

    for answer in (told, streamed):
        assert answer.status_code == 413
        assert error_of(answer).details == {"limit_bytes": 100_000}
    assert lied.startswith(b"HTTP/1.1 413 ")


def test_an_upload_that_stops_halfway_is_given_up(small_server: LiveServer, stranger: httpx.Client) -> None:
    """A sender that says nothing for a while gets an answer, and its thread is free again."""
    answer = say(
        small_server,
        b"POST /api/v1/echo/upload HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n"
        b"content-length: 1000\r\n\r\nabc",
    )

    assert answer.startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /api/v1/echo/maybe HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT localhost:22 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
    ],
)
def test_malformed_requests_are_refused(
    small_server: LiveServer, stranger: httpx.Client, request_: bytes
) -> None:
    """What is not a clean HTTP request gets an error or a closed connection, and the server lives on."""
    answer = say(small_server, request_)

    assert answer == b"" or answer.split()[1][:1] == b"4"
    assert stranger.get("/health/live").json() == {"status": "live"}


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "get"])
def test_other_methods_are_not_known(stranger: httpx.Client, method: str) -> None:
    """No method answers that no route uses, so no cross-site permission is ever given."""
    answer = stranger.request(method, BODY, headers={"origin": "http://evil.example"})

    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/live"),
        ("GET", "/api/v1/echo/maybe"),
        ("GET", "/api/v1/nothing"),
        ("PUT", "/health/live"),
        ("GET", "/api/v1/openapi.json"),
        ("GET", "/api/v1/echo/plain/x/1?bad=1"),
        ("GET", "/"),
    ],
)
def test_every_answer_is_hardened(stranger: httpx.Client, method: str, path: str) -> None:
    """Answers of every kind carry the headers that keep a browser from misusing them."""
    headers = stranger.request(method, path, headers=JSON).headers

    assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS


@pytest.mark.parametrize("accept", ["text/html", "*/*", "application/json", "image/png"])
@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/echo/plain/x/one", "/api/v1/a%2Fb"])
def test_an_error_of_the_interface_for_programs_is_json(
    stranger: httpx.Client, accept: str, path: str
) -> None:
    """Whatever a client says it would like, errors below `/api` have their one form."""
    error = error_of(stranger.get(path, headers={"accept": accept}))

    assert error.code in ("route_not_found", "invalid")
    assert "\x1f" not in error.message


def test_a_download_is_an_attachment(stranger: httpx.Client) -> None:
    """No uploaded page is ever shown as one of the server's."""
    headers = stranger.get("/api/v1/echo/download").headers

    assert headers["content-disposition"].startswith("attachment")
    assert headers["x-content-type-options"] == "nosniff"


def test_head_is_get_without_a_body(stranger: httpx.Client) -> None:
    """HEAD answers the headers of GET."""
    head, get = stranger.head("/health/live"), stranger.get("/health/live")

    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {KEY}", 200),
        (f"bearer {KEY}", 200),
        (f"Bearer {KEY}x", 401),
        (f"Bearer {KEY[:-1]}", 401),
        ("Basic " + b64encode(f"any:{KEY}".encode()).decode(), 200),
        ("basic " + b64encode(f":{KEY}".encode()).decode(), 200),
        ("Basic YTpi", 401),
        ("Basic YTpi=", 401),
        ("Basic not base64", 401),
        ("Basic " + b64encode(KEY.encode()).decode(), 401),
        ("Basic " + b64encode(b"\xff\xfe:\xff").decode(), 401),
        ("Digest " + KEY, 401),
        (KEY, 401),
        ("Basic", 401),
    ],
)
def test_a_wrong_credential_is_not_taken_for_none(
    stranger: httpx.Client, authorization: str, status: int
) -> None:
    """Even where strangers may visit, a credential that is not valid is an error."""
    answer = stranger.get("/api/v1/echo/maybe", headers={"authorization": authorization})

    assert answer.status_code == status
    offered = answer.headers.get_list("www-authenticate")
    assert offered == ([] if status == 200 else ["Bearer", 'Basic realm="Noria", charset="UTF-8"'])


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_user_signs_in_with_each_request(
    small_server: LiveServer, context: Context, stranger: httpx.Client, encoding: str
) -> None:
    """Name and password in HTTP Basic are enough, in either of the encodings that clients use."""
    small_server.is_open = False
    context.service(Users).create(NewUser(name="ali", password="contraseña larga", role=Role.VIEWER))
    right = b64encode("ali:contraseña larga".encode(encoding)).decode()

    answer = stranger.get("/api/v1/echo/maybe", headers={"authorization": f"Basic {right}"})
    wrong = stranger.get("/api/v1/echo/maybe", auth=("ali", "contraseña corta"))

    assert (answer.status_code, wrong.status_code) == (200, 401)
    assert error_of(wrong).message == "The name or the password is wrong"


def test_guessing_passwords_is_told_when_to_go_on(
    small_server: LiveServer, context: Context, stranger: httpx.Client
) -> None:
    """Too many wrong passwords are answered 429 with the seconds to wait."""
    context.service(Users).create(NewUser(name="ali", password="contraseña larga", role=Role.VIEWER))
    for _ in range(5):
        assert stranger.get("/api/v1/echo/maybe", auth=("ali", "wrong")).status_code == 401

    answer = stranger.get("/api/v1/echo/maybe", auth=("ali", "contraseña larga"))

    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 300


@pytest.mark.parametrize("value", ["Bearer \u00e9".encode(), "Bearer \u00e9".encode("latin-1"), b""])
def test_a_credential_that_is_no_text_is_refused(
    small_server: LiveServer, transport: HttpTransport, value: bytes
) -> None:
    """Bytes outside ASCII in a credential are a wrong credential."""
    request = b"GET /api/v1/echo/maybe HTTP/1.1\r\nhost: localhost\r\nauthorization: " + value + b"\r\n\r\n"

    assert say(small_server, request).startswith(b"HTTP/1.1 401 ")


def test_who_is_not_signed_in_learns_nothing_of_the_routes(
    small_server: LiveServer, stranger: httpx.Client
) -> None:
    """On a closed server what exists and what does not look the same to a stranger; health answers."""
    small_server.is_open = False
    answers = [
        stranger.get("/api/v1/echo/maybe"),
        stranger.get("/api/v1/nothing"),
        stranger.put("/api/v1/echo/maybe", json={}),
        stranger.get("/api/v1/openapi.json"),
        stranger.get("/"),
    ]

    assert {(answer.status_code, error_of(answer).code) for answer in answers} == {(401, "unauthenticated")}
    assert stranger.get("/health/live").status_code == 200
    assert stranger.get("/health/ready").json() == {"status": "ready", "control": "absent"}


def refused_head(server: LiveServer, n_bytes: int, *further: str) -> bytes:
    """Give the head of a request that is refused before anybody reads its body."""
    lines = [
        f"POST {BODY} HTTP/1.1",
        f"host: {urlsplit(server.url).netloc}",
        "origin: http://evil.example",
        f"content-length: {n_bytes}",
        *further,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_refused_body_does_not_cost_the_next_request(
    small_server: LiveServer, stranger: httpx.Client
) -> None:
    """A connection goes on after a refusal whose body came later than the headers, as clients send it."""
    parts = urlsplit(small_server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(refused_head(small_server, 10))
        time.sleep(0.1)  # In which the server reads the headers, and has decided.
        connection.sendall(b"x" * 10)
        refused = read_answers(connection, 1)
        connection.sendall(f"GET /health/live HTTP/1.1\r\nhost: {parts.netloc}\r\n\r\n".encode())
        answered = read_answers(connection, 1)

    assert refused.startswith(b"HTTP/1.1 403 ")
    assert b"connection: close" not in refused.lower()
    assert answered.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("further", [(), ("expect: 100-continue",)])
def test_a_large_refused_body_ends_the_connection_and_says_so(
    small_server: LiveServer, stranger: httpx.Client, further: tuple[str, ...]
) -> None:
    """Nobody reads a gigabyte for a refusal: the answer says that the connection is not to be used again."""
    parts = urlsplit(small_server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30) as connection:
        connection.sendall(refused_head(small_server, 1 << 30, *further))
        refused = read_answers(connection, 1)

    assert refused.startswith(b"HTTP/1.1 403 ")
    assert b"connection: close" in refused.lower()
