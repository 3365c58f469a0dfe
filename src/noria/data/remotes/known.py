"""The remotes that a workspace knows: names and addresses, in a small file of this user."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from noria.core.errors import Conflict, Corrupt, Invalid
from noria.core.leftovers import state_places
from noria.core.names import check_name
from noria.data.remotes.entities import RemoteLine, RemoteUnknown
from noria.data.trees.addresses import has_secrets, without_secrets

if TYPE_CHECKING:
    from noria.core.config import Settings

_FILE: Final = "remotes.json"
_SCHEMES: Final = ("s3://", "gs://", "az://")


def known_remotes(settings: Settings) -> list[RemoteLine]:
    """List remotes in the order in which they were added.

    Raises
    ------
    Corrupt
        If the file is damaged.
    """
    path = _path(settings)
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[RemoteLine])
    except FileNotFoundError:
        return []
    except msgspec.DecodeError as error:
        raise Corrupt(
            f"`{path}` cannot be read: {error}", hint=f"Remove `{path}` and add the remotes again"
        ) from error


def add_remote(settings: Settings, name: str, url: str) -> RemoteLine:
    """Remember a remote.

    Raises
    ------
    Invalid
        If the address is of no kind that is known, or holds a user, a password or a token: it is not written down.
    Conflict
        If there is another one of this name.
    """
    check_name("remote", name)
    if has_secrets(url):
        raise Invalid(
            f"The address `{without_secrets(url)}…` holds a user, password or token; it was not kept",
            hint="Give it without, and the credentials in the environment, such as `AWS_ACCESS_KEY_ID` and"
            " `AWS_SECRET_ACCESS_KEY`",
        )
    line = RemoteLine(name=name, url=_normalised(url))
    lines = known_remotes(settings)
    for other in lines:
        if other.name == name and other.url != line.url:
            raise Conflict(
                f"There is a remote `{name}` already, at `{other.url}`",
                hint=f"Remove it first: noria data remote rm {name}",
            )
    _write(settings, [*(other for other in lines if other.name != name), line])
    return line


def remove_remote(settings: Settings, name: str) -> None:
    """Forget a remote; what lies there stays.

    Raises
    ------
    RemoteUnknown
        If there is none of this name.
    """
    lines = known_remotes(settings)
    if all(line.name != name for line in lines):
        raise RemoteUnknown(name, [line.name for line in lines])
    _write(settings, [line for line in lines if line.name != name])


def find_remote(settings: Settings, name: str | None) -> RemoteLine:
    """Give the remote of a name; without one, the only one.

    Raises
    ------
    RemoteUnknown
        If there is none of this name.
    Invalid
        If no name is given, and there is none or more than one.
    """
    lines = known_remotes(settings)
    if name is not None:
        for line in lines:
            if line.name == name:
                return line
        raise RemoteUnknown(name, [line.name for line in lines])
    if len(lines) == 1:
        return lines[0]
    if not lines:
        raise Invalid("There is no remote yet", hint="noria data remote add NAME URL")
    listed = ", ".join(f"`{line.name}`" for line in lines)
    raise Invalid(f"There are the remotes {listed}", hint=f"Say which: --remote {lines[0].name}")


def _normalised(url: str) -> str:
    if url.startswith(_SCHEMES):
        return url.rstrip("/")
    if "://" in url and not url.startswith("file://"):
        raise Invalid(
            f"`{without_secrets(url)}` is no address of a remote",
            hint="Give a folder, `s3://bucket/prefix`, `gs://…` or `az://…`",
        )
    return str(Path(url.removeprefix("file://")).expanduser().resolve())


def _write(settings: Settings, lines: list[RemoteLine]) -> None:
    path = _path(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".noria-{os.urandom(8).hex()}.tmp")
    try:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(lines), indent=2) + b"\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _path(settings: Settings) -> Path:
    return state_places(settings)[0] / _FILE
