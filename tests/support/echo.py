"""A service that gives back what it hears, for tests of what lies between a caller and a service."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from noria.core.errors import ErrorBody, TooLarge, error_from_body
from noria.core.operations import Download, Service, Upload, operation
from noria.core.permissions import Permission, Role

HEAR = Permission(name="echo.hear")
SPEAK = Permission(name="echo.speak", role=Role.SCIENTIST)
COMMAND = Permission(name="echo.command", role=Role.ENGINEER, key=True)


class Shade(enum.StrEnum):
    """Some choices."""

    LIGHT = "light"
    DARK = "dark side"


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments as they arrived."""

    text: str
    number: int
    word: str
    count: int | None
    ratio: float
    flag: bool
    shade: Shade | None
    at: datetime | None
    words: list[str] | None


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body with fields of several kinds."""

    text: str
    figure: float = 0.0
    parts: list[str] = []
    nested: dict[str, int] | None = None


class Raised(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An error to raise."""

    code: str
    message: str
    hint: str | None = None
    details: dict[str, Any] = {}


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much arrived."""

    n_bytes: int
    n_chunks: int


class Broken(Exception):
    """What a bug raises."""


class Echo(Service):
    """Gives back what it hears."""

    @operation("GET", "/echo/plain/{text}/{number}", needs=HEAR)
    def plain(
        self,
        text: str,
        number: int,
        word: str = "",
        count: int | None = None,
        ratio: float = 0.0,
        flag: bool = False,
        shade: Shade | None = None,
        at: datetime | None = None,
        words: list[str] | None = None,
    ) -> Heard:
        """Give back the arguments."""
        return Heard(
            text=text,
            number=number,
            word=word,
            count=count,
            ratio=ratio,
            flag=flag,
            shade=shade,
            at=at,
            words=words,
        )

    @operation("POST", "/echo/body", needs=SPEAK)
    def body(self, said: Said) -> Said:
        """Give back the body."""
        return said

    @operation("POST", "/echo/bodies", needs=SPEAK)
    def bodies(self, said: list[Said]) -> list[Said]:
        """Give back a list of bodies, the other way round."""
        return said[::-1]

    @operation("GET", "/echo/maybe", needs=HEAR)
    def maybe(self, there: bool = False) -> Said | None:
        """Give something or nothing."""
        return Said(text="there") if there else None

    @operation("DELETE", "/projects/{project}/echo", needs=COMMAND)
    def command(self, project: str) -> None:
        """Do something that needs the key."""

    @operation("POST", "/projects/{project}/echo", needs=SPEAK)
    def speak(self, project: str, said: Said) -> Said:
        """Give back the body, in a project."""
        return said

    @operation("POST", "/echo/upload", needs=SPEAK)
    def upload(self, body: Upload, most: int = 1 << 40) -> Size:
        """Count what arrives, up to a limit of the service's own."""
        n_bytes = n_chunks = 0
        for chunk in body:
            n_bytes += len(chunk)
            n_chunks += 1
            if n_bytes > most:
                raise TooLarge(f"More than {most}")
        return Size(n_bytes=n_bytes, n_chunks=n_chunks)

    @operation("GET", "/echo/download", needs=HEAR)
    def download(self, n_chunks: int = 1, fails_at: int | None = None, known: bool = True) -> Download:
        """Give chunks of a thousand bytes, and break in front of one of them."""
        return Download(
            chunks=_chunks(n_chunks, fails_at),
            size_bytes=n_chunks * 1000 if known else None,
            filename="ü b.bin",
            headers={"noria-note": "x"},
        )

    @operation("POST", "/echo/raise", needs=HEAR)
    def fail(self, error: Raised) -> None:
        """Raise the error."""
        raise error_from_body(
            ErrorBody(code=error.code, message=error.message, hint=error.hint, details=error.details)
        )

    @operation("POST", "/echo/crash", needs=HEAR)
    def crash(self) -> None:
        """Raise what no service should."""
        raise Broken("the internals of the server")


def _chunks(n: int, fails_at: int | None) -> Iterator[bytes]:
    for index in range(n):
        if index == fails_at:
            raise TooLarge(f"Broken in front of chunk {index}")
        yield bytes([index % 256]) * 1000
