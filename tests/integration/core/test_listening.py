"""Taking a port."""

from __future__ import annotations

import socket

import pytest

from noria.core.errors import ConfigInvalid
from noria.core.listening import PortInUse, address_of, bind


def test_a_free_port_is_taken_once() -> None:
    """The second who asks for a port is refused with the option that chooses another."""
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)) as caught:
            bind("127.0.0.1", port)

    assert "--port" in (caught.value.hint or "")
    with bind("127.0.0.1", port) as again:
        assert again.getsockname()[1] == port


def test_a_port_is_not_shared_with_who_would_share_it() -> None:
    """Also a program that allows sharing keeps its port to itself."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortInUse):
            bind("127.0.0.1", other.getsockname()[1])


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "host.invalid"])
def test_an_address_that_is_not_ours_is_refused(host: str) -> None:
    """An address of another machine, or of none, names the option."""
    with pytest.raises(ConfigInvalid, match=host) as caught:
        bind(host, 0)

    assert "--host" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("host", "reached"),
    [("127.0.0.1", "http://127.0.0.1:"), ("localhost", "http://"), ("0.0.0.0", "http://127.0.0.1:")],  # noqa: S104
)
def test_a_listening_socket_knows_where_it_is_reached(host: str, reached: str) -> None:
    """The address to print is one that can be opened."""
    with bind(host, 0) as listening:
        assert address_of(listening).startswith(reached)
        assert address_of(listening).endswith(str(listening.getsockname()[1]))


def test_version_six_addresses_are_bracketed() -> None:
    """An address with colons stands in brackets before the port."""
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        listening = bind("::1", 0)
    except ConfigInvalid:
        pytest.skip("this machine has no IPv6")
    with listening:
        assert address_of(listening) == f"http://[::1]:{listening.getsockname()[1]}"
