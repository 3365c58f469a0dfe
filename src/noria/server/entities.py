"""Settings of the server."""

from __future__ import annotations

from typing import Annotated

import msgspec

from noria.core.config import Section

DEFAULT_PORT = 7777
MEBIBYTE = 1 << 20

Count = Annotated[int, msgspec.Meta(ge=1)]


class ServerSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: how the server listens and what it takes.

    Attributes
    ----------
    host, port
        Address to listen on. Any other than loopback needs a user to exist first.
    allowed_hosts
        Names that `Host` may hold besides the loopback names and `host` itself, each with or without a port.
    body_limit_bytes
        Most bytes of a JSON body. MLflow's clients put profiles of data sets of 16 MiB into one.
    upload_limit_bytes
        Most bytes of one uploaded object.
    n_threads
        How many requests are worked on at once.
    n_transfer_threads
        How many uploads and downloads are worked on at once, beside the requests.
    idle_upload_s
        An upload that sends nothing for so long is ended.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = DEFAULT_PORT
    allowed_hosts: tuple[str, ...] = ()
    body_limit_bytes: Count = 32 * MEBIBYTE
    upload_limit_bytes: Count = 64 * 1024 * MEBIBYTE
    n_threads: Count = 12
    n_transfer_threads: Count = 6
    idle_upload_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
