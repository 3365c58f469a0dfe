"""What a registry is told of who asks: from where clients of containers keep it, or from the helper that they name.

The file is `config.json` of Docker: `auths` holds credentials themselves, `credHelpers` (for one registry) and
`credsStore` (for all) name a program `docker-credential-NAME`, which gets the registry's name on its standard input
after the word `get`, and answers with JSON (github.com/docker/docker-credential-helpers). Nothing of what it says is
shown or kept.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

_TIMEOUT_S: Final = 30
_PROGRAM: Final = "docker-credential-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TOKEN_USER: Final = "<token>"  # noqa: S105 - by which helpers say that the secret is a token


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user with a password, or a token that stands for both (`user` is empty then)."""

    user: str
    secret: str = field(repr=False)

    @property
    def basic(self) -> str | None:
        """As the scheme `Basic` takes them; None for a token."""
        return base64.b64encode(f"{self.user}:{self.secret}".encode()).decode() if self.user else None


class Keychain:
    """Credentials for one registry, looked up when they are first asked for.

    Parameters
    ----------
    host
        Of the registry, with its port.
    environ
        Says where the file and the helpers are.
    """

    def __init__(self, host: str, environ: Mapping[str, str]) -> None:
        self._host = host
        self._environ = environ
        self.trouble: str | None = None
        """Why a helper that is named could not be asked."""

    @functools.cached_property
    def credentials(self) -> Credentials | None:
        """What is known for the registry: of its own helper, of the one for all, or in the file; None without any."""
        told = self._config()
        own = _of_host(told.get("credHelpers"), self._host)
        for address, name in (own, (self._host, told.get("credsStore"))):
            if name and (found := self._asked(str(name), address)):
                return found
        return _in_file(_of_host(told.get("auths"), self._host)[1])

    def _config(self) -> dict[str, Any]:
        home = Path(self._environ.get("HOME", ""), ".docker")
        folder = Path(self._environ.get("DOCKER_CONFIG") or home)
        try:
            told = json.loads((folder / "config.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def _asked(self, name: str, address: str) -> Credentials | None:
        program = shutil.which(_PROGRAM + name, path=self._environ.get("PATH")) if _is_name(name) else None
        if program is None:
            self.trouble = f"`config.json` names the helper `{_PROGRAM}{name[:100]}`, which is not installed"
            return None
        try:
            done = subprocess.run(
                [program, "get"],
                input=address.encode(),
                capture_output=True,
                timeout=_TIMEOUT_S,
                env=dict(self._environ),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            self.trouble = f"the helper `{_PROGRAM}{name}` did not answer"
            return None
        if done.returncode != 0:
            self.trouble = f"the helper `{_PROGRAM}{name}` has nothing for `{self._host}`"
            return None
        return self._read(name, done.stdout)

    def _read(self, name: str, said: bytes) -> Credentials | None:
        try:
            found = msgspec.json.decode(said, type=_Said)
        except msgspec.DecodeError:
            self.trouble = f"the helper `{_PROGRAM}{name}` did not answer as its protocol says"
            return None
        if not found.secret:
            return None
        return Credentials(user="" if found.username == _TOKEN_USER else found.username, secret=found.secret)


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    username: str = msgspec.field(name="Username", default="")
    secret: str = msgspec.field(name="Secret", default="")


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and os.sep not in name


def _of_host(section: Any, host: str) -> tuple[str, Any]:
    """Find what a section says of a host: keys are hosts, or addresses of it."""
    if not isinstance(section, dict):
        return host, None
    if host in section:
        return host, section[host]
    for key, value in section.items():
        if "://" in key and urlsplit(key).netloc == host:
            return key, value
    return host, None


def _in_file(entry: Any) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    if token := entry.get("identitytoken"):
        return Credentials(user="", secret=str(token))
    try:
        user, _, password = base64.b64decode(str(entry.get("auth") or "")).decode().partition(":")
    except ValueError:
        return None
    return Credentials(user=user, secret=password) if user else None
