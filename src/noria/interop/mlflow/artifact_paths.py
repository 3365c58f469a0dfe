"""Paths of artifacts as MLflow's clients write them: decoded until nothing is left to decode, checked, and taken apart.

Clients send a path encoded once, twice, or not at all, and MLflow's server decodes what it gets until it stays the
same. What is checked is therefore the last form, and what is kept is that form too: a client that lists a folder
decodes the names once more before it asks for the files.
"""

from __future__ import annotations

import posixpath
import re
from typing import Final
from urllib.parse import unquote, urlparse, urlunparse

from noria.interop.mlflow.errors import MlflowError, invalid

_MAX_DECODINGS: Final = 10
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_REFUSED: Final = re.compile(r"[\\#]|\A/|\A[A-Za-z]:/|\Afile:", re.IGNORECASE)

_SLASHES: Final = re.compile("/+")

_PROXIED: Final = "mlflow-artifacts"


def parts_of(path: str) -> list[str]:
    """Decode and check a path, and give its parts; empty text and `.` name the root.

    Raises
    ------
    MlflowError
        If the path is absolute, of Windows, a file's address, or has `..`, `#`, a backslash or a control character,
        in this form or in one that it is decoded to.

    Examples
    --------
    >>> parts_of("a%2Fb/./c.txt")
    ['a', 'b', 'c.txt']
    """
    plain = _decoded(path)
    parts = plain.split("/")
    if _REFUSED.search(plain) or ".." in parts:
        raise _invalid_path()
    tidy = [part for part in parts if part not in ("", ".")]
    # Without an empty part, there may be more to leave out: `?/` is a name, and `?` is not.
    return tidy if tidy == parts or not tidy else parts_of("/".join(tidy))


def file_parts_of(path: str) -> list[str]:
    """Decode and check the path of a file that is to be written.

    Raises
    ------
    MlflowError
        As `parts_of`; or if the path ends in `/`, or has a part `.`.
    """
    parts = parts_of(path)
    plain = _decoded(path)
    if not parts or plain.endswith("/"):
        raise invalid("Artifact path must include a filename (cannot end with '/').")
    if "/".join(parts) != _SLASHES.sub("/", plain):
        folder = posixpath.dirname(plain)
        raise invalid(
            f"Invalid artifact path: '{folder}'. Names may be treated as files in certain cases, and must not resolve"
            f" to other names when treated as such. This name would resolve to {posixpath.normpath(folder)!r}"
        )
    return parts


def proxied_parts(location: str) -> list[str] | None:
    """Give the path that a location has behind this server, or None if clients reach it without the server.

    Examples
    --------
    >>> proxied_parts("mlflow-artifacts:/3/there"), proxied_parts("s3://bucket/3")
    (['3', 'there'], None)
    """
    parts = urlparse(location)
    if parts.scheme != _PROXIED:
        return None
    return [part for part in parts.path.split("/") if part]


def _decoded(path: str) -> str:
    for _ in range(_MAX_DECODINGS):
        try:
            plain = unquote(path, errors="strict")
            if _CONTROL.search(plain):  # `urlparse` would leave some of them out
                raise _invalid_path()
            # As MLflow does on both sides: this also drops an empty query or fragment.
            further = urlunparse(urlparse(plain))
        except ValueError as error:
            raise _invalid_path() from error
        if further == path:
            return path
        path = further
    raise _invalid_path()


def _invalid_path() -> MlflowError:
    return invalid("Invalid path")
