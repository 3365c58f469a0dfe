"""The workspace key: a secret in a 0600 file that proves its holder owns the workspace's folder.

Any web page and any other user of a shared computer can reach loopback; only the folder's owner can read this file.
The command line and the SDK read it by themselves.
"""

from __future__ import annotations

import os
from pathlib import Path

from noria.core.errors import Forbidden

KEY_FILE = "key"


def ensure_key(folder: Path) -> str:
    """Read the workspace's key, made at first use."""
    path = folder / KEY_FILE
    if not path.exists():
        _create(path)
    found = read_key(folder)
    assert found is not None  # noqa: S101 - it was just made
    return found


def read_key(folder: Path) -> str | None:
    """Read the workspace's key; None when there is none yet.

    Raises
    ------
    Forbidden
        If others can read the file or it is empty, since then it proves nothing.
    """
    path = folder / KEY_FILE
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise Forbidden(
            f"The workspace key `{path}` belongs to another user", hint="Use a token: `NORIA_TOKEN`"
        ) from error
    if mode & 0o077:
        raise Forbidden(
            f"The workspace key `{path}` can be read by others", hint=f"chmod 600 {path}; better, delete it"
        )
    if not text:
        # Whoever sends nothing would hold it.
        raise Forbidden(
            f"The workspace key `{path}` is empty", hint=f"rm {path}; the next command makes a new one"
        )
    return text


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    import secrets  # with OpenSSL, for once in the life of a workspace

    draft = path.with_name(f"{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_urlsafe(32).encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        # A link never replaces: of two processes that start at once, the first one's key stays.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
