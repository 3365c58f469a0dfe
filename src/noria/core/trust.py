"""Which certificates a connection to one address trusts, without reading them where none are used."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def trust_for(url: str | None) -> ssl.SSLContext:
    """Give what `httpx.Client(verify=...)` takes for the connections to an address.

    Reading the list of authorities takes 50 ms and more of CPU, which is much of a command that asks a server in plain
    HTTP once. There nobody is trusted, so that a connection that is encrypted after all fails.

    Parameters
    ----------
    url
        The only address that the client will ask; None if that is found out later.

    Examples
    --------
    >>> trust_for("http://127.0.0.1:7777").get_ca_certs()
    []
    """
    if url is not None and url.lower().startswith("http://"):
        return _nobody()
    return _authorities()


@functools.cache
def _nobody() -> ssl.SSLContext:
    import ssl

    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.cache
def _authorities() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()
