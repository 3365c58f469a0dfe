"""What the source of a version may be: MLflow's rules on addresses, with its wording, and what they name."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, unquote_plus, urlparse, urlsplit

from noria.interop.mlflow.errors import MlflowError, invalid
from noria.interop.mlflow.locations import HOST_SCHEMES

_PROXY_ROUTE: Final = ("api", "2.0", "mlflow-artifacts", "artifacts")
_MAX_DECODINGS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUri:
    """What a `models:/` address names."""

    model_id: str | None = None
    name: str = ""
    version: str | None = None
    stage: str | None = None
    alias: str | None = None


def parse_models_uri(uri: str) -> ModelUri | None:
    """Read a `models:/` address; None if it is none.

    Examples
    --------
    >>> parse_models_uri("models:/digits/3").version
    '3'
    >>> parse_models_uri("models:/digits@champion").alias
    'champion'
    >>> parse_models_uri("models:/a/b/c") is None
    True
    """
    parts = urlparse(uri, allow_fragments=False)
    path = parts.path
    pieces = path.lstrip("/").split("/")
    if parts.scheme != "models" or not path.startswith("/") or len(path) < 2 or len(pieces) > 2:
        return None
    if not pieces[0].strip() or not pieces[-1].strip():
        return None
    if len(pieces) == 2:
        name, suffix = pieces
        if suffix.isdigit():
            return ModelUri(name=name, version=suffix)
        return ModelUri(name=name) if suffix.lower() == "latest" else ModelUri(name=name, stage=suffix)
    name, at, alias = pieces[0].rpartition("@")
    if at:
        return ModelUri(name=name, alias=alias) if alias.strip() else None
    return ModelUri(model_id=pieces[0])


def check_readable(source: str) -> None:
    """Refuse what is no address at all."""
    try:
        _ = urlsplit(source).port
    except ValueError as error:
        raise invalid(f"Invalid model version source: '{source}'. {error}.") from error


def check_scheme(source: str) -> None:
    """Refuse addresses that name a host, whoever might connect to it."""
    parts = urlsplit(source)
    if parts.scheme not in HOST_SCHEMES or (parts.scheme == "mlflow-artifacts" and not parts.netloc):
        return
    refusal = (
        f"'source' cannot use the '{parts.scheme}' scheme: the '{parts.scheme}' scheme addresses a host other than the "
        "tracking server's configured artifact storage, so the server would connect to the host named in the URI. "
        "Give a source that clients reach themselves, such as 's3://bucket/path'."
    )
    if _leads_away(source):
        refusal += f" {_away(source)}"
    raise invalid(refusal)


def check_absolute(source: str) -> None:
    """Refuse an address with steps upward or null characters in its path, or without a path."""
    if _leads_away(source):
        raise invalid(_away(source))


def _leads_away(source: str) -> bool:
    """Tell whether a path has steps upward or null characters, however often it is percent-encoded."""
    for _ in range(_MAX_DECODINGS):
        further = unquote_plus(source)
        if further == source:
            break
        source = further
    else:
        return True
    path = re.sub(r"/+", "/", urlparse(source).path.rstrip("/"))
    if "\0" in path or any(part == ".." for part in source.split("/")):
        return True
    # A path without a first slash would be read from wherever somebody stands.
    return not path.startswith("/") or posixpath.normpath(path) != path


def _away(source: str) -> str:
    return (
        f"Invalid model version source: '{source}'. If supplying a source as an http, https, local file path, ftp, "
        "objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references "
        "present. Please provide an absolute path."
    )


def is_local(uri: str) -> bool:
    """Tell whether an address is a path of a file system."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        host = parts.hostname or ""
        if host and not host.startswith((".", "localhost", "127.0.0.1")):
            raise invalid(f"{uri} is not a valid remote uri.")
        return True
    return parts.scheme == ""


def is_within_folder(source: str, root: str) -> bool:
    """Tell whether a path of a file system lies in a folder or is it; nothing on the disk is looked at."""
    path, folder = (PurePosixPath(posixpath.normpath(unquote(urlsplit(uri).path))) for uri in (source, root))
    return path.is_absolute() and path.is_relative_to(folder)


def is_proxied(source: str) -> bool:
    """Tell whether clients reach an address through a tracking server."""
    scheme, _, parts = _pieces(source)
    n = len(_PROXY_ROUTE)
    return scheme == "mlflow-artifacts" or (
        scheme in ("http", "https")
        and any(parts[i : i + n] == _PROXY_ROUTE for i in range(len(parts) - n + 1))
    )


def is_below(source: str, root: str) -> bool:
    """Tell whether an address lies below another one or is it, however it is encoded."""
    mine, its = _pieces(source), _pieces(root)
    return mine[:2] == its[:2] and bool(its[2]) and mine[2][: len(its[2])] == its[2]


def _pieces(uri: str) -> tuple[str, str, tuple[str, ...]]:
    parts = urlsplit(uri)
    return (
        parts.scheme.lower(),
        parts.netloc.lower(),
        tuple(_decoded(part) for part in parts.path.split("/") if part),
    )


def _decoded(text: str) -> str:
    for _ in range(_MAX_DECODINGS):
        further = unquote(text)
        if further == text:
            break
        text = further
    return text


def not_within(source: str, field: str) -> MlflowError:
    """Make the error about a path that is not among the artifacts of the run or model that is named."""
    return invalid(
        f"Invalid model version source: '{source}'. To use a local path as a model version source, the {field} request "
        "parameter has to be specified and the local path has to be contained within the artifact directory of the run "
        f"specified by the {field}."
    )


def not_identified(source: str, field: str) -> MlflowError:
    """Make the error about a source whose run or model was not named."""
    return invalid(
        f"Invalid model version source: '{source}'. The {field} request parameter must identify the resource that "
        "contains the source."
    )
