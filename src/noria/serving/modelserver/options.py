"""How a model server listens and what it keeps."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from noria.core.errors import ConfigInvalid
from noria.core.gate import is_loopback

_MIN_TOKEN_LENGTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How a model server listens and what it keeps.

    Attributes
    ----------
    only
        Serve this endpoint (project, name) alone; None for all of the workspace.
    token
        What every request must carry; needed when other machines can reach `host`.
    spool_bytes
        Most that answered requests may take on this disk before they are handed on.
    n_workers
        Processes that answer.
    hung_after_s
        A worker is replaced when a request takes longer, or when it gives no sign of life for so long.
    spans_to
        Collector of OpenTelemetry that is sent a span for each request; None sends none.
    worker_memory_bytes
        A worker is replaced when it takes more; None shares out four fifths of the machine's.
    """

    host: str = "127.0.0.1"
    port: int = 0
    allowed_hosts: tuple[str, ...] = ()
    only: tuple[str, str] | None = None
    token: str | None = field(default=None, repr=False)
    spool_bytes: int = 1 << 30
    n_workers: int = 1
    hung_after_s: float = 60.0
    worker_memory_bytes: int | None = None
    spans_to: str | None = None

    def check(self) -> None:
        """Refuse to be reached by other machines without asking anything of them.

        Raises
        ------
        ConfigInvalid
            If that is so.
        """
        if not is_loopback(self.host) and self.token is None:
            raise ConfigInvalid(
                f"Other machines could reach `{self.host}`, and nothing would be asked of them",
                hint="Give a token with `--token-file FILE`, or leave out `--host`",
            )


def closed_rights(owner: int, reader: int) -> int:
    """Give the rights on a token's file, as bits of its mode, that are too much.

    Kubernetes hands secrets to programs that are not root by the group, as files of root: nobody else is in it.

    Parameters
    ----------
    owner, reader
        Users by number: whose the file is, and who reads it.

    Examples
    --------
    >>> oct(closed_rights(1000, 1000)), oct(closed_rights(0, 10001))
    ('0o77', '0o37')
    """
    return 0o037 if owner == 0 and reader != 0 else 0o077


def read_token(path: Path) -> str:
    """Read the token that every request must carry.

    Raises
    ------
    ConfigInvalid
        If the file cannot be read, can be read by others, or holds too short a token.
    """
    try:
        held = path.stat()
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"The token file `{path}` cannot be read: {error}") from error
    if held.st_mode & closed_rights(held.st_uid, os.geteuid()):
        raise ConfigInvalid(f"The token file `{path}` can be read by others", hint=f"chmod 600 {path}")
    if len(token) < _MIN_TOKEN_LENGTH:
        raise ConfigInvalid(
            f"The token in `{path}` is too short to be safe",
            hint=f"Use at least {_MIN_TOKEN_LENGTH} characters",
        )
    return token
