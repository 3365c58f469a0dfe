"""Properties of the rules of which addresses may be called."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from noria.core.errors import ConfigInvalid
from noria.core.outbound.addresses import AddressRefused, AddressRules, read_rules, unwrapped, why_not_public

NOTHING_ALLOWED = AddressRules()
METADATA = ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"]

v4 = st.ip_addresses(v=4)
v6 = st.ip_addresses(v=6)
near = st.one_of(
    *(
        st.ip_addresses(network=network)
        for network in (
            "10.0.0.0/7",
            "100.0.0.0/8",
            "126.0.0.0/7",
            "169.252.0.0/14",
            "172.0.0.0/11",
            "192.0.0.0/8",
            "198.0.0.0/8",
            "223.0.0.0/8",
            "2000::/15",
            "2001::/16",
            "3ffe::/15",
            "fe00::/7",
        )
    )
)
any_address = st.one_of(v4, v6, near)


def refused(rules: AddressRules, host: str, address: object) -> bool:
    try:
        rules.check(host, str(address))
    except AddressRefused:
        return True
    return False


@given(address=any_address)
@example(address=ipaddress.ip_address("127.0.0.1"))
@example(address=ipaddress.ip_address("224.0.0.1"))
@example(address=ipaddress.ip_address("::ffff:1.0.0.0"))
def test_what_the_standard_library_calls_special_is_refused(address: ipaddress.IPv4Address) -> None:
    """No address that Python's own tables know as private, local, multicast or reserved is public here.

    An address that wraps another one is judged by that one, which has a property of its own.
    """
    plain = unwrapped(address)
    special = (
        plain.is_private
        or plain.is_loopback
        or plain.is_link_local
        or plain.is_multicast
        or plain.is_reserved
        or plain.is_unspecified
        or not plain.is_global
    )
    assert not special or refused(NOTHING_ALLOWED, "host", address)


@given(address=st.one_of(v4, near.filter(lambda address: address.version == 4)))
def test_the_public_internet_is_not_refused(address: ipaddress.IPv4Address) -> None:
    """What is refused is special in Python's tables too, but for the few addresses that these do not know."""
    unknown = ("168.63.129.16/32", "192.88.99.0/24", "192.0.0.0/24", "224.0.0.0/4")
    known_here = any(address in ipaddress.ip_network(network) for network in unknown)
    assert known_here or (why_not_public(address) is None) == address.is_global


@given(address=v4)
def test_an_address_is_judged_the_same_however_it_is_wrapped(address: ipaddress.IPv4Address) -> None:
    """IPv4 inside IPv6 reaches what IPv4 reaches."""
    mapped = ipaddress.IPv6Address(int(ipaddress.IPv6Address("::ffff:0:0")) | int(address))
    translated = ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | int(address))

    assert why_not_public(mapped) == why_not_public(translated) == why_not_public(address)


@given(address=v4)
def test_old_wrappings_are_always_refused(address: ipaddress.IPv4Address) -> None:
    """6to4, Teredo and compatible addresses lead to IPv4 by ways that nobody needs any more."""
    to_4 = ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80))
    compatible = ipaddress.IPv6Address(int(address))
    teredo = ipaddress.IPv6Address((0x20010000 << 96) | (int(address) ^ 0xFFFFFFFF))

    for wrapped in (to_4, compatible, teredo):
        assert refused(NOTHING_ALLOWED, "host", wrapped)


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_refused(address: str) -> None:
    """The addresses at which clouds hand out credentials are never public."""
    assert refused(NOTHING_ALLOWED, "host", address)


@given(network=st.one_of(st.integers(0, 32)), address=v4, inside=v4)
def test_a_network_allows_what_is_in_it_and_no_more(
    network: int, address: ipaddress.IPv4Address, inside: ipaddress.IPv4Address
) -> None:
    """An allowed network changes nothing for addresses outside it."""
    allowed = ipaddress.ip_network((int(inside), network), strict=False)
    rules = read_rules([str(allowed)])

    assert not refused(rules, "host", inside)
    expected = address not in allowed and refused(NOTHING_ALLOWED, "host", address)
    assert refused(rules, "host", address) == expected


@given(address=any_address)
def test_a_name_allows_whatever_it_leads_to(address: ipaddress.IPv4Address) -> None:
    """A host of the settings is trusted with its addresses, in any spelling; other names are not."""
    rules = read_rules(["CI.Internal."])

    assert not refused(rules, "ci.internal", address)
    assert not refused(rules, "CI.INTERNAL.", address)
    for other in ("evil.ci.internal", "ci.internal.evil.org", "xci.internal"):
        assert refused(rules, other, address) == refused(NOTHING_ALLOWED, other, address)


def test_the_refusal_does_not_tell_the_address() -> None:
    """Who names a host does not learn what it is called inside."""
    with pytest.raises(AddressRefused) as caught:
        NOTHING_ALLOWED.check("ci.internal", "10.1.2.3")

    assert "10.1.2.3" not in str(caught.value.to_body())
    assert "`ci.internal` leads to a private address" in caught.value.message


@pytest.mark.parametrize(
    "entry", ["", "http://ci", "ci:80", "10.0.0.0/33", "a b", "10.0.0.1/x", "-ci", "*.ci"]
)
def test_entries_that_are_neither_are_refused(entry: str) -> None:
    """A mistake in the settings is told at once."""
    with pytest.raises(ConfigInvalid, match="neither a host nor a network"):
        read_rules([entry])
