"""Where artifacts are said to be: locations of experiments, and what lies below them."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlparse, urlsplit

from noria.interop.mlflow.errors import invalid

PROXY: Final = "mlflow-artifacts:/"
"""What the clients of this server ask it for, rather than a store of their own."""

MAX_LOCATION_CHARS: Final = 2_048

HOST_SCHEMES: Final = frozenset(
    {"ftp", "sftp", "hdfs", "viewfs", "http", "https", "mlflow-artifacts", "r2", "b2", "abfss"}
)
_MAX_DECODINGS: Final = 10


def artifact_location(number: int, told: str | None) -> str:
    """Give the location of an experiment: the one that it was made with, or this server.

    Examples
    --------
    >>> artifact_location(3, None), artifact_location(3, "s3://bucket/there")
    ('mlflow-artifacts:/3', 's3://bucket/there')
    """
    return told if told is not None else f"{PROXY}{number}"


def run_artifacts(location: str, run_id: str) -> str:
    """Give the location of the artifacts of a run.

    Examples
    --------
    >>> run_artifacts("mlflow-artifacts:/3", "7f")
    'mlflow-artifacts:/3/7f/artifacts'
    >>> run_artifacts("s3://bucket/there?region=x", "7f")
    's3://bucket/there/7f/artifacts?region=x'
    """
    return below(location, f"{run_id}/artifacts")


def below(location: str, path: str) -> str:
    """Give the location of a path below another."""
    head, mark, query = location.partition("?")
    return (
        f"{head.rstrip('/') or '/'}/{path}{mark}{query}" if head.strip("/") else f"{head}{path}{mark}{query}"
    )


def check_location(location: str) -> None:
    """Refuse a location that could mean another place than it says.

    Raises
    ------
    MlflowError
        For fragments, params, `..` in the query, schemes that name a host, runs, and more than 2048 characters.
    """
    parts = urlparse(location)
    if parts.fragment or parts.params:
        raise invalid("'artifact_location' URL can't include fragments or params.")
    if ".." in _decoded(parts.query):
        raise invalid("Invalid query string")
    if parts.scheme in HOST_SCHEMES and (parts.netloc or parts.scheme != "mlflow-artifacts"):
        raise invalid(
            f"'artifact_location' cannot use the '{parts.scheme}' scheme: the '{parts.scheme}' scheme addresses a"
            " host other than the tracking server's configured artifact storage, so the server would connect to the"
            " host named in the URI. Give a location that clients reach themselves, such as 's3://bucket/path',"
            " or leave it out."
        )
    if location.startswith("runs:"):
        raise invalid(f"Artifact location cannot be a runs:/ URI. Given: '{location}'")
    if len(location) > MAX_LOCATION_CHARS:
        raise invalid(
            "Invalid artifact path length. The length of the artifact path cannot be greater than"
            f" {MAX_LOCATION_CHARS} characters."
        )


def resolved(location: str, folder: Path) -> str:
    """Make a relative path of a file system absolute, within `folder`.

    Examples
    --------
    >>> resolved("here", Path("/srv")), resolved("s3://bucket/x", Path("/srv")), resolved("/abs", Path("/srv"))
    ('/srv/here', 's3://bucket/x', '/abs')
    """
    parts = urlsplit(location)
    if parts.scheme == "":
        return location if posixpath.isabs(location) else folder.joinpath(location).as_posix()
    if parts.scheme == "file":
        return _resolved_file(location, parts, folder)
    return location


def _resolved_file(location: str, parts: SplitResult, folder: Path) -> str:
    if parts.hostname and not parts.hostname.startswith(("localhost", "127.0.0.1", ".")):
        raise invalid(f"{location} is not a valid remote uri.")
    if posixpath.isabs(parts.path):
        return location
    return parts._replace(path=folder.joinpath(parts.path).as_posix()).geturl()


def _decoded(text: str) -> str:
    for _ in range(_MAX_DECODINGS):
        further = unquote(text)
        if further == text:
            break
        text = further
    return text
