"""Calls outwards, to real servers on this machine that play the other side."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from noria.core.clock import SystemClock
from noria.core.errors import TooLarge, Unavailable
from noria.core.outbound.addresses import AddressRefused
from noria.core.outbound.client import Outbound, TooManyRedirects, UrlInvalid
from noria.core.outbound.connecting import OutOfTime
from noria.core.outbound.entities import OutboundAnswer, OutboundRequest, OutboundSection
from support.other_side import Script, other_side, say

NAME = "hooks.example"


def calls(*allow: str, timeout_s: float = 10.0, proxy: str | None = None) -> Outbound:
    """Give a client that finds `hooks.example` on this machine."""
    return Outbound(
        OutboundSection(allow=allow, timeout_s=timeout_s, proxy=proxy),
        SystemClock(),
        resolve=lambda host, _port: ["127.0.0.1"] if host == NAME else _system(host),
    )


def _system(host: str) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def get(client: Outbound, url: str, **options: object) -> OutboundAnswer:
    return client.send(OutboundRequest(method="GET", url=url, **options))  # type: ignore[arg-type]


def test_an_allowed_host_is_called() -> None:
    """The request arrives as it was given, under the host's own name, and the answer comes back."""
    with other_side(say(201, b"made", **{"X-Kind": "a"})) as server:
        answer = calls(NAME).send(
            OutboundRequest(
                method="POST", url=f"http://{NAME}:{server.port}/a?b=1", headers={"X-Mine": "1"}, body=b"body"
            )
        )

    assert (answer.status, answer.body, answer.headers["x-kind"]) == (201, b"made", "a")
    [(method, path, headers, body)] = server.requests
    assert (method, path, body) == ("POST", "/a?b=1", b"body")
    assert headers["host"] == f"{NAME}:{server.port}"
    assert (headers["x-mine"], headers["content-length"], headers["user-agent"]) == ("1", "4", "noria")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        NAME,
        "[::1]",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "[::ffff:127.0.0.1]",
    ],
)
def test_this_machine_is_not_called_in_any_spelling(host: str) -> None:
    """Loopback is refused before anything is sent, however its address is written."""
    with other_side(say()) as server:
        with pytest.raises((AddressRefused, Unavailable)) as caught:
            get(calls(), f"http://{host}:{server.port}/")
        assert server.requests == []
    assert isinstance(caught.value, AddressRefused) or "is not known" in caught.value.message


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "10.0.0.1", "[fe80::1]", "[fd00:ec2::254]", "100.64.0.1"]
)
def test_inner_networks_are_not_called(address: str) -> None:
    """Nothing is sent into private networks, nor to the services of a cloud."""
    with pytest.raises(AddressRefused):
        get(calls(), f"http://{address}/latest/meta-data")


def test_a_host_with_one_inner_address_is_refused() -> None:
    """A host that has a public address beside an inner one is not called at all."""
    client = Outbound(OutboundSection(), SystemClock(), resolve=lambda _h, _p: ["1.1.1.1", "127.0.0.1"])

    with pytest.raises(AddressRefused):
        get(client, "http://both.example/")


def test_a_name_that_changes_its_address_gains_nothing() -> None:
    """A name is resolved once for a connection; what was checked is what is connected to."""
    answers = iter([["127.0.0.1"], ["10.255.255.1"]])
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    with other_side(say()) as server:
        client = Outbound(OutboundSection(allow=("127.0.0.1",)), SystemClock(), resolve=resolve)
        assert get(client, f"http://rebinding.example:{server.port}/").status == 200
        with pytest.raises(AddressRefused):
            get(client, f"http://rebinding.example:{server.port}/")

    assert asked == ["rebinding.example"] * 2
    assert len(server.requests) == 1


def test_a_redirect_is_checked_like_any_address() -> None:
    """A public host cannot send us to an inner one."""
    with other_side(say(302, Location="http://169.254.169.254/latest")) as server:
        with pytest.raises(AddressRefused, match="link-local"):
            get(calls(NAME), f"http://{NAME}:{server.port}/")
        with other_side(say(200, b"inner")) as inner:
            target = say(302, Location=f"http://127.0.0.1:{inner.port}/")
            with other_side(target) as sending, pytest.raises(AddressRefused):
                get(calls(NAME), f"http://{NAME}:{sending.port}/")
            assert inner.requests == []


def test_redirects_are_followed_so_far() -> None:
    """A GET follows redirects up to a number; one that never ends is told."""

    def script(handler: BaseHTTPRequestHandler) -> None:
        n = int(handler.path[1:])
        (say(301, Location=f"/{n - 1}") if n else say(200, b"there"))(handler)

    with other_side(script) as server:
        client = calls(NAME)
        answer = get(client, f"http://{NAME}:{server.port}/3")
        with pytest.raises(TooManyRedirects):
            get(client, f"http://{NAME}:{server.port}/4")

    assert (answer.body, answer.url) == (b"there", f"http://{NAME}:{server.port}/0")


@pytest.mark.parametrize(("status", "n_requests"), [(301, 1), (302, 1), (303, 1), (307, 2), (308, 2)])
def test_what_is_sent_goes_on_only_unchanged(status: int, n_requests: int) -> None:
    """A POST is repeated elsewhere where the answer asks for just that; else the answer is the redirect itself."""

    def script(handler: BaseHTTPRequestHandler) -> None:
        (say(status, b"", Location="/there") if handler.path == "/" else say(200))(handler)

    with other_side(script) as server:
        answer = calls(NAME).send(
            OutboundRequest(method="POST", url=f"http://{NAME}:{server.port}/", body=b"body")
        )

    assert [(method, body) for method, _, _, body in server.requests] == [("POST", b"body")] * n_requests
    assert answer.status == (200 if n_requests == 2 else status)


def test_credentials_stay_with_their_host() -> None:
    """A redirect to another origin goes without the headers that sign in."""
    with other_side(say()) as last:
        with other_side(say(307, b"", Location=f"http://127.0.0.1:{last.port}/")) as first:
            calls(NAME, "127.0.0.1").send(
                OutboundRequest(
                    method="POST",
                    url=f"http://{NAME}:{first.port}/",
                    headers={"Authorization": "Bearer x", "X-Signature": "y"},
                    body=b"z",
                )
            )
        headers = last.requests[0][2]

    assert "authorization" not in headers
    assert headers["x-signature"] == "y"


def test_no_more_is_read_than_was_asked_for() -> None:
    """An answer without an end is refused, or cut off, at the limit."""

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 10_000)

    with other_side(endless) as server:
        url = f"http://{NAME}:{server.port}/"
        with pytest.raises(TooLarge, match="100000"):
            get(calls(NAME), url, limit_bytes=100_000)
        answer = get(calls(NAME), url, limit_bytes=100_000, cut=True)

    assert (len(answer.body), answer.is_cut) == (100_000, True)


def test_a_compressed_answer_is_not_unpacked() -> None:
    """A few bytes cannot become many here."""
    with other_side(say(200, b"\x1f\x8b\x08", **{"Content-Encoding": "gzip"})) as server:
        answer = get(calls(NAME), f"http://{NAME}:{server.port}/")

    assert answer.body == b"\x1f\x8b\x08"
    assert server.requests[0][2]["accept-encoding"] == "identity"


def drip(handler: BaseHTTPRequestHandler) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"x" * 10_000:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.05)  # what the test is about: a byte now and then


def silent(handler: BaseHTTPRequestHandler) -> None:
    threading.Event().wait(5)
    handler.close_connection = True


@pytest.mark.parametrize("script", [drip, silent])
def test_a_slow_answer_ends_at_the_deadline(script: Script) -> None:
    """Neither silence nor a byte now and then holds a call up beyond its time."""
    with other_side(script) as server, pytest.raises(OutOfTime, match=r"within 0\.3 s"):
        get(calls(NAME, timeout_s=0.3), f"http://{NAME}:{server.port}/")


def test_a_stream_may_last_while_it_goes_on() -> None:
    """Its time counts for each wait: an answer that comes part by part is read to its end, a silent one is not."""

    def parts(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\n")
        for _ in range(6):
            handler.wfile.write(b"x" * 10)
            handler.wfile.flush()
            time.sleep(0.2)  # what the test is about: together more than the time, each less

    with other_side(parts) as server:
        request = OutboundRequest(method="GET", url=f"http://{NAME}:{server.port}/", limit_bytes=1)
        with calls(NAME, timeout_s=0.8).stream(request) as answer:
            body = b"".join(answer.chunks)
        with (
            pytest.raises(OutOfTime),
            calls(NAME, timeout_s=0.1).stream(request) as answer,
        ):
            list(answer.chunks)

    assert body == b"x" * 60


def test_the_host_that_a_person_named_may_be_an_inner_one() -> None:
    """But not where it sends them to."""
    with other_side(say(200, b"inner")) as inner:
        request = OutboundRequest(method="GET", url=f"http://127.0.0.1:{inner.port}/")
        with calls().stream(request, trusted="127.0.0.1") as answer:
            body = b"".join(answer.chunks)
        with other_side(say(302, Location="http://169.254.169.254/")) as sending:
            away = OutboundRequest(method="GET", url=f"http://127.0.0.1:{sending.port}/")
            with pytest.raises(AddressRefused), calls().stream(away, trusted="127.0.0.1"):
                pass

    assert body == b"inner"


def test_a_resolver_that_hangs_ends_at_the_deadline() -> None:
    """The system's resolver knows no deadline; calls do."""
    release = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        release.wait(10)
        return ["1.1.1.1"]

    client = Outbound(OutboundSection(timeout_s=0.2), SystemClock(), resolve=resolve)
    with pytest.raises(OutOfTime):
        get(client, "http://slow.example/")
    release.set()


def test_what_cannot_be_reached_is_unavailable() -> None:
    """An unknown host, a closed port and a server that speaks something else may be better later."""

    def nonsense(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")
        handler.close_connection = True

    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(Unavailable, match=r"`nowhere\.example` is not known"):
        get(Outbound(OutboundSection(), SystemClock(), resolve=unknown), "http://nowhere.example/")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="cannot be reached at port"):
            get(calls(NAME), f"http://{NAME}:{taken.getsockname()[1]}/")
    with other_side(nonsense) as server, pytest.raises(Unavailable, match="did not answer as it should"):
        get(calls(NAME), f"http://{NAME}:{server.port}/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example/x",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://[half/",
        "http://host:99999/",
        "http://user:secret@hooks.example/",
        "http://hooks.example/\r\nX-Injected: 1",
        "http://hooks.example/a b",
        "http://höoks.example/",
        "http://hooks.example/" + "x" * 2000,
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """Only addresses of HTTP are called, and none that carries a password or another line."""
    with pytest.raises(UrlInvalid) as caught:
        get(calls(NAME), url)
    assert "secret" not in caught.value.message


def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of the environment are not used."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with other_side(say()) as server:
        assert get(calls(NAME), f"http://{NAME}:{server.port}/").status == 200


def test_a_proxy_of_the_settings_takes_every_call() -> None:
    """Behind a proxy the proxy resolves names and is itself trusted; addresses in digits are still checked."""
    with other_side(say(200, b"by proxy")) as proxy:
        client = calls(proxy=f"http://127.0.0.1:{proxy.port}")
        answer = get(client, "http://only-the-proxy-knows.example/x")
        with pytest.raises(AddressRefused):
            get(client, "http://10.0.0.1/")

    assert answer.body == b"by proxy"
    assert [path for _, path, _, _ in proxy.requests] == ["http://only-the-proxy-knows.example/x"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Give what a server shows for `hooks.example`, and what trusts it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder: Path = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "cert.pem"))


def test_the_certificate_is_of_the_name_and_not_of_the_address(
    authority: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """A connection to a checked address still asks for the certificate of the host that was named."""
    tls, trust = authority
    rules = OutboundSection(allow=(NAME, "other.example"), timeout_s=10)
    with other_side(say(200, b"secret"), tls=tls) as server:
        client = Outbound(rules, SystemClock(), resolve=lambda _h, _p: ["127.0.0.1"], trust=trust)
        answer = get(client, f"https://{NAME}:{server.port}/")
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            get(client, f"https://other.example:{server.port}/")
        stranger = Outbound(rules, SystemClock(), resolve=lambda _h, _p: ["127.0.0.1"])
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            get(stranger, f"https://{NAME}:{server.port}/")

    assert answer.body == b"secret"
    assert len(server.requests) == 1


def test_no_way_leads_from_https_to_http(authority: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """What was to go encrypted does not go on in the clear."""
    tls, trust = authority
    with (
        other_side(say()) as plain,
        other_side(say(302, b"", Location=f"http://{NAME}:{plain.port}/"), tls=tls) as server,
    ):
        client = Outbound(
            OutboundSection(allow=(NAME,)), SystemClock(), resolve=lambda _h, _p: ["127.0.0.1"], trust=trust
        )
        with pytest.raises(Unavailable, match="plain HTTP"):
            get(client, f"https://{NAME}:{server.port}/")

    assert plain.requests == []
