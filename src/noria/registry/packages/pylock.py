"""The lock of a package, `pylock.toml` (PEP 751): written in one form, and read.

It names each distribution by version and each of its files by name and SHA-256, and says nothing of where they were
found: no index, no mirror, no folder of the machine that built the package. The standard wants a path or an address of
every file, so the paths in it are of a folder `wheels` beside the lock; the addresses in an index are for each machine
to add (`noria packages lock --located`), which leaves names and hashes as they are.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from noria.core.errors import Invalid
from noria.core.serialisation import to_json
from noria.registry.packages.errors import PackageInvalid

_CREATOR: Final = "noria"
_FOLDER: Final = "wheels"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+!-]*\.(?:whl|tar\.gz|zip|tgz|tar\.bz2)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFile:
    """A file of a distribution."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A distribution in the lock.

    Attributes
    ----------
    marker
        Where it is needed; None for everywhere.
    """

    name: str
    version: str
    marker: str | None = None
    sdist: LockedFile | None = None
    wheels: tuple[LockedFile, ...] = ()

    @property
    def files(self) -> list[LockedFile]:
        """All files."""
        return [*([self.sdist] if self.sdist else []), *self.wheels]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What must be installed to load a model.

    Attributes
    ----------
    python
        Versions of Python, as `>=3.11`.
    incomplete
        Why it does not name everything; None when it does.
    """

    python: str | None = None
    distributions: tuple[Locked, ...] = field(default=())
    incomplete: str | None = None

    def requirements(self) -> str:
        """Give it as requirements with hashes, which pip and uv install from whatever index they know.

        Raises
        ------
        Invalid
            If it is incomplete: an installer would take what it likes for the rest.
        """
        if self.incomplete is not None:
            raise Invalid(
                f"The lock is incomplete: {self.incomplete}",
                hint="Build the package again where an index can be reached",
            )
        return "".join(_requirement(each) for each in self.distributions)

    def encode(self, places: Mapping[LockedFile, str] | None = None) -> bytes:
        """Write it in its one form: equal locks give equal bytes.

        Parameters
        ----------
        places
            Addresses of files, for installers; those without one are left out then.
        """
        lines = ['lock-version = "1.0"', f"created-by = {_text(_CREATOR)}"]
        if self.python is not None:
            lines.insert(1, f"requires-python = {_text(self.python)}")
        if self.incomplete is not None or not self.distributions:
            lines.append("packages = []")
        for each in sorted(self._complete(), key=lambda each: (each.name, each.version, each.marker or "")):
            lines += ["", "[[packages]]", *_lines(each, places)]
        if self.incomplete is not None:
            known = ", ".join(_text(f"{each.name}=={each.version}") for each in self.distributions)
            lines += ["", "[tool.noria]", f"incomplete = {_text(self.incomplete)}", f"known = [{known}]"]
        return ("\n".join(lines) + "\n").encode()

    def _complete(self) -> tuple[Locked, ...]:
        """Give what installers read: without files, a distribution is none to them."""
        return () if self.incomplete is not None else self.distributions


def read_lock(data: bytes) -> Lock:
    """Read a lock: one of a package, or what a resolver wrote, from which only names and hashes are taken.

    Raises
    ------
    PackageInvalid
        If it is none.
    """
    told = _read(data)
    try:
        own = told.get("tool", {}).get("noria", {})
        known = [_known(each) for each in own.get("known", [])]
        return Lock(
            python=told.get("requires-python"),
            distributions=(*known, *(_locked(each) for each in told["packages"])),
            incomplete=own.get("incomplete"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise PackageInvalid(f"The lock of the package cannot be read: {error}") from error


def read_places(data: bytes) -> dict[LockedFile, str]:
    """Read the addresses of files from what a resolver wrote.

    Raises
    ------
    PackageInvalid
        As `read_lock`.
    """
    told = _read(data)
    listed = [
        file for each in told["packages"] for file in (each.get("sdist"), *each.get("wheels", ())) if file
    ]
    return {_file(file): str(file["url"]) for file in listed if file.get("url")}


def read_incomplete(data: bytes) -> str | None:
    """Tell why a lock is incomplete, or None; raises as `read_lock`."""
    return read_lock(data).incomplete


def _read(data: bytes) -> dict[str, Any]:
    try:
        told = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PackageInvalid(f"The lock of the package cannot be read: {error}") from error
    if told.get("lock-version") != "1.0":
        raise PackageInvalid("The lock is of another version than 1.0")
    return told


def _known(pin: str) -> Locked:
    name, _, version = pin.partition("==")
    return Locked(name=name, version=version)


def _locked(told: dict[str, Any]) -> Locked:
    name, version = told["name"], told["version"]
    if not _NAME.fullmatch(name):
        raise PackageInvalid(f"The lock names `{name}`, which is no distribution")
    sdist = told.get("sdist")
    return Locked(
        name=name,
        version=version,
        marker=told.get("marker"),
        sdist=_file(sdist) if sdist else None,
        wheels=tuple(sorted((_file(each) for each in told.get("wheels", [])), key=lambda each: each.name)),
    )


def _file(told: dict[str, Any]) -> LockedFile:
    where = told.get("name") or urlsplit(told.get("url") or "").path or told.get("path") or ""
    name = unquote(where.rpartition("/")[2])
    digest = told["hashes"]["sha256"]
    if not _FILE.fullmatch(name) or not _SHA256.fullmatch(digest):
        raise PackageInvalid(
            f"The lock names the file `{name}`, without a SHA-256 or with a name that none has"
        )
    return LockedFile(name=name, sha256=digest)


def _lines(each: Locked, places: Mapping[LockedFile, str] | None) -> list[str]:
    lines = [f"name = {_text(each.name)}", f"version = {_text(each.version)}"]
    if each.marker is not None:
        lines.append(f"marker = {_text(each.marker)}")
    wheels = [wheel for wheel in each.wheels if places is None or wheel in places]
    if each.sdist is not None and (places is None or each.sdist in places):
        lines.append(f"sdist = {_inline(each.sdist, places)}")
    if wheels:
        lines += ["wheels = [", *(f"    {_inline(wheel, places)}," for wheel in wheels), "]"]
    return lines


def _inline(file: LockedFile, places: Mapping[LockedFile, str] | None) -> str:
    where = f"path = {_text(f'{_FOLDER}/{file.name}')}" if places is None else f"url = {_text(places[file])}"
    return f"{{ name = {_text(file.name)}, {where}, hashes = {{ sha256 = {_text(file.sha256)} }} }}"


def _requirement(each: Locked) -> str:
    marker = f" ; {each.marker}" if each.marker else ""
    hashes = "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted({f.sha256 for f in each.files}))
    return f"{each.name}=={each.version}{marker}{hashes}\n"


def _text(value: str) -> str:
    # A string of JSON is one of TOML too.
    return to_json(value).decode().replace("\x7f", "\\u007f")
