"""Which addresses may be called from the server: those of the public internet, and those that the settings name.

Whoever can name a URL could otherwise reach what only this machine reaches: services without a login on loopback and
in private networks, and the metadata services of clouds, which hand out credentials.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from noria.core.errors import ConfigInvalid, Forbidden

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)

# The registries of special-purpose addresses of IANA (RFC 6890 and its updates), with what is no unicast at all. The
# networks are written out since `ipaddress.is_global` has changed between versions of Python.
_NOT_PUBLIC_4 = {
    "0.0.0.0/8": "an address of this machine",
    "10.0.0.0/8": "a private address",
    "100.64.0.0/10": "an address of a provider's inner network",
    "127.0.0.0/8": "a loopback address",
    "168.63.129.16/32": "an address of a cloud's own services",  # Azure's, in the middle of public ones
    "169.254.0.0/16": "a link-local address",
    "172.16.0.0/12": "a private address",
    "192.0.0.0/24": "a reserved address",
    "192.0.2.0/24": "an address for documentation",
    "192.88.99.0/24": "a reserved address",
    "192.168.0.0/16": "a private address",
    "198.18.0.0/15": "an address for benchmarks",
    "198.51.100.0/24": "an address for documentation",
    "203.0.113.0/24": "an address for documentation",
    "224.0.0.0/4": "a multicast address",
    "240.0.0.0/4": "a reserved address",
}
_NOT_PUBLIC_6 = {
    "::1/128": "a loopback address",
    "fc00::/7": "a private address",
    "fe80::/10": "a link-local address",
    "ff00::/8": "a multicast address",
    "2001::/23": "a reserved address",  # Teredo among them
    "2001:db8::/32": "an address for documentation",
    "2002::/16": "an address that wraps another one",  # 6to4, given up in RFC 7526
    "3fff::/20": "an address for documentation",
}
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_REASONS: list[tuple[Network, str]] = [
    (ipaddress.ip_network(network), reason) for network, reason in (_NOT_PUBLIC_4 | _NOT_PUBLIC_6).items()
]


class AddressRefused(Forbidden):
    """The host leads to an address that is not public."""

    code = "address_refused"

    def __init__(self, host: str, reason: str) -> None:
        # The address itself is not told: who names a host must not learn what it is called inside.
        super().__init__(
            f"`{host}` leads to {reason}, which is not called from here",
            hint=f'If it may be, say so in `noria.toml` of the server: `[outbound]` `allow = ["{host}"]`',
            details={"host": host},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """What may be called besides the public internet."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def check(self, host: str, address: str) -> None:
        """Refuse an address that a host leads to.

        Raises
        ------
        AddressRefused
            If it is not public and the settings do not name it or its host.
        """
        parsed = ipaddress.ip_address(address.partition("%")[0])
        reason = why_not_public(parsed)
        if reason is None or host.rstrip(".").lower() in self.names:
            return
        if not any(known in network for network in self.networks for known in (parsed, unwrapped(parsed))):
            raise AddressRefused(host, reason)


def read_rules(entries: Iterable[str]) -> AddressRules:
    """Read the names, addresses and networks of the settings.

    Raises
    ------
    ConfigInvalid
        If an entry is none of these.

    Examples
    --------
    >>> read_rules(["CI.internal", "10.1.2.3/16"])
    AddressRules(names=frozenset({'ci.internal'}), networks=(IPv4Network('10.1.0.0/16'),))
    """
    names: set[str] = set()
    networks: list[Network] = []
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
        except ValueError as error:
            if _NAME.fullmatch(entry) is None:
                raise ConfigInvalid(
                    f"`{entry}` in `[outbound]` `allow` is neither a host nor a network",
                    hint='Write names and networks without a scheme or port: `["ci.internal", "10.1.0.0/16"]`',
                ) from error
            names.add(entry.rstrip(".").lower())
    return AddressRules(names=frozenset(names), networks=tuple(networks))


def why_not_public(address: Address) -> str | None:
    """Say what an address is if it is not one of the public internet.

    Examples
    --------
    >>> why_not_public(ipaddress.ip_address("::ffff:169.254.169.254"))
    'a link-local address'
    >>> why_not_public(ipaddress.ip_address("1.1.1.1")) is None
    True
    """
    plain = unwrapped(address)
    for network, reason in _REASONS:
        if plain in network:
            return reason
    if isinstance(plain, ipaddress.IPv6Address) and plain not in _PUBLIC_6:
        return "a reserved address"
    return None


def unwrapped(address: Address) -> Address:
    """Give the IPv4 address that an IPv6 address stands for, where it does: mapped, or translated by a gateway."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else address
