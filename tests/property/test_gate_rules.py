"""Properties of the rules that stand before every route."""

from __future__ import annotations

import ipaddress
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from noria.core.gate import (
    LOOPBACK_NAMES,
    READING_METHODS,
    WRITTEN_TYPES,
    AllowedHosts,
    ContentTypeRefused,
    HostRefused,
    OriginRefused,
    check_host,
    check_origin,
    hosts_for,
    is_loopback,
)

LOOPBACK = hosts_for("127.0.0.1")
EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound here
PIECES = ["localhost", "127.0.0.1", "[::1]", "::1", ":", "7777", "@", "evil.org", "/", ".", "[", "]", "\n"]
names = st.from_regex(
    r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?){0,3}", fullmatch=True
)
ports = st.integers(1, 65535)
writing = st.sampled_from(["POST", "PUT", "PATCH", "DELETE"])
written = st.sampled_from(sorted(WRITTEN_TYPES))


def refused(host: str | None, allowed: AllowedHosts = LOOPBACK) -> bool:
    """Tell whether a host is refused."""
    try:
        check_host(host, allowed)
    except HostRefused:
        return True
    return False


@given(names, st.none() | ports)
def test_loopback_answers_for_no_name_that_could_be_rebound(name: str, port: int | None) -> None:
    """A loopback server answers for `localhost` and loopback addresses, and for no other name in the world."""
    host = name if port is None else f"{name}:{port}"

    assert refused(host) == (name not in LOOPBACK_NAMES)


@given(st.sampled_from(["localhost", "LOCALHOST", "127.0.0.1", "[::1]"]), st.none() | ports)
def test_loopback_names_are_answered_on_any_port(name: str, port: int | None) -> None:
    """Through a tunnel the port is another one; that is no danger."""
    assert not refused(name if port is None else f"{name}:{port}")


@given(st.text(max_size=30) | st.lists(st.sampled_from(PIECES), max_size=4).map("".join))
def test_no_text_passes_that_is_not_a_host(text: str) -> None:
    """Whatever is sent as `Host`, what passes is one of the known names, with a port at most."""
    if refused(text):
        return
    name, _, port = text.rpartition(":") if not text.endswith("]") and ":" in text else (text, "", "0")

    assert name.strip("[]").lower() in LOOPBACK_NAMES
    assert set(port) <= set(string.digits)


@given(names, st.text(alphabet=" \t\r\n,/@?#\\\0", min_size=1, max_size=2), names)
def test_a_name_with_something_attached_is_refused(name: str, glue: str, rest: str) -> None:
    """Separators inside `Host` never let a known name hide an unknown one."""
    assert refused(f"localhost{glue}{rest}")
    assert refused(f"{name}{glue}localhost")


@given(st.ip_addresses(), st.none() | ports)
def test_an_address_in_digits_cannot_be_rebound(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int | None
) -> None:
    """A server that others reach answers for every address in digits; loopback for its own only."""
    text = f"[{address}]" if address.version == 6 else str(address)
    host = text if port is None else f"{text}:{port}"

    assert not refused(host, hosts_for(EVERYWHERE))
    assert refused(host) == (str(address) not in LOOPBACK_NAMES)


@given(names, ports, ports)
def test_a_name_from_the_settings_is_answered_with_its_port_if_it_has_one(
    name: str, port: int, other: int
) -> None:
    """`name` allows every port, `name:port` that one."""
    assume(port != other)
    assume(name not in LOOPBACK_NAMES)
    free, bound = hosts_for("127.0.0.1", [name.upper()]), hosts_for("127.0.0.1", [f"{name}:{port}"])

    assert not refused(f"{name}:{other}", free)
    assert not refused(f"{name}:{port}", bound)
    assert refused(f"{name}:{other}", bound)


@given(st.sampled_from(sorted(READING_METHODS)), st.text(max_size=9), st.none() | st.text(max_size=9))
def test_reading_is_not_held_up(method: str, text: str, other: str | None) -> None:
    """What only reads may come from anywhere: browsers keep its answer from other sites' scripts."""
    check_origin(method, text, other, other, fetch_site=text)


@given(
    writing, names, st.none() | ports, names, st.none() | ports, st.sampled_from(["http", "https"]), written
)
def test_a_write_from_another_origin_is_refused(
    method: str, name: str, port: int | None, other: str, other_port: int | None, scheme: str, kind: str
) -> None:
    """A page may write to the host and port that it came from, and to no other."""
    default = {"http": 80, "https": 443}[scheme]
    same = (name, port or default) == (other, other_port or default)
    host = name if port is None else f"{name}:{port}"
    origin = f"{scheme}://{other}" if other_port is None else f"{scheme}://{other}:{other_port}"
    if same:
        check_origin(method, origin, host, kind)
        return
    with pytest.raises(OriginRefused):
        check_origin(method, origin, host, kind)


@given(writing, st.text(max_size=20), written)
def test_an_origin_that_is_none_is_refused(method: str, origin: str, kind: str) -> None:
    """`null`, which sandboxed pages and files send, and any other text are not our origin."""
    assume(not origin.startswith(("http://", "https://")))
    with pytest.raises(OriginRefused):
        check_origin(method, origin, "localhost:7777", kind)


@given(writing, st.sampled_from(["cross-site", "same-site", "", "anything"]), written)
def test_a_browser_that_says_cross_site_is_believed(method: str, site: str, kind: str) -> None:
    """`Sec-Fetch-Site` refuses by itself, also another port of the same computer."""
    with pytest.raises(OriginRefused):
        check_origin(method, None, "localhost:7777", kind, fetch_site=site)


@given(st.text(max_size=40))
def test_only_json_and_raw_bytes_are_posted(kind: str) -> None:
    """No content type that a form can send passes, however it is written."""
    assume(kind.partition(";")[0].strip().lower() not in WRITTEN_TYPES)
    with pytest.raises(ContentTypeRefused):
        check_origin("POST", None, "localhost", kind)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_what_a_form_sends_is_refused(kind: str) -> None:
    """The three types of HTML forms are refused."""
    with pytest.raises(ContentTypeRefused):
        check_origin("POST", None, "localhost", kind)


@given(st.sampled_from(["PUT", "PATCH", "DELETE"]), st.none() | st.text(max_size=40))
def test_what_no_browser_sends_unasked_may_be_of_any_type(method: str, kind: str | None) -> None:
    """A form only knows POST, and a script's PUT to another site waits for a preflight that is never granted.

    So a file may be put with the type that it has; a page elsewhere is still refused by its origin.
    """
    check_origin(method, None, "localhost", kind)
    with pytest.raises(OriginRefused):
        check_origin(method, "https://elsewhere.example", "localhost", kind)


@pytest.mark.parametrize(
    "said", [{"origin": "http://localhost"}, {"origin": None, "fetch_site": "same-origin"}]
)
def test_a_body_without_a_type_is_a_program_s(said: dict[str, str | None]) -> None:
    """Programs post bytes without saying what they are; a browser that does so has told where it comes from."""
    check_origin("POST", None, "localhost", None)
    with pytest.raises(ContentTypeRefused):
        check_origin("POST", said["origin"], "localhost", None, fetch_site=said.get("fetch_site"))


@given(writing, written, st.sampled_from(["", "; charset=utf-8", " ;x=y"]))
def test_a_program_that_sends_no_origin_is_let_in(method: str, kind: str, parameters: str) -> None:
    """Clients that are not browsers send neither `Origin` nor `Sec-Fetch-Site`; so do a browser's own address bar."""
    check_origin(method, None, "localhost", kind.upper() + parameters)
    check_origin(method, None, "localhost", None, has_body=False, fetch_site="none")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        (EVERYWHERE, False),
        ("::", False),
        ("192.168.1.2", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_what_others_reach(host: str, expected: bool) -> None:
    """Only addresses that this computer alone reaches count as loopback."""
    assert is_loopback(host) is expected
