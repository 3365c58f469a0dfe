"""A file as an answer: whole or in part, of the type that its name tells, and always as an attachment."""

from __future__ import annotations

import mimetypes
import posixpath
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from noria.core.adapters import AdapterAnswer, AdapterRequest, AdapterStream
from noria.core.objects.store import ObjectInfo
from noria.core.operations import Download
from noria.interop.mlflow.artifact_places import Place
from noria.interop.mlflow.errors import refuse
from noria.interop.mlflow.wire import MlflowError
from noria.tracking.artifacts import Artifacts
from noria.tracking.shelves import ArtifactIsFolder

TEXT_ENDINGS: Final = frozenset(
    {
        "txt",
        "log",
        "err",
        "cfg",
        "conf",
        "cnf",
        "cf",
        "ini",
        "properties",
        "prop",
        "hocon",
        "toml",
        "yaml",
        "yml",
    }
    | {
        "xml",
        "json",
        "js",
        "py",
        "py3",
        "csv",
        "tsv",
        "md",
        "rst",
        "ipynb",
        "MLmodel",
        "MLproject",
        "mlproject",
    }
)
"""Endings, and whole names, of files that are shown as plain text."""

_RANGE: Final = re.compile(r"bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)\s*")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")

# Its own table, not that of the machine, whose files may call things otherwise.
_TYPES: Final = mimetypes.MimeTypes()


def file_answer(request: AdapterRequest, place: Place) -> AdapterAnswer | AdapterStream:
    """Give a file of a shelf, or the part of it that the request asks for.

    Raises
    ------
    ArtifactNotFound, ArtifactIsFolder
    """
    artifacts = request.context.guarded(Artifacts)
    if not place.parts:
        raise ArtifactIsFolder(place.path)
    file = artifacts.info(place.project, of=place.of, path=place.path)
    return part_answer(
        request,
        place.parts[-1],
        ObjectInfo(digest=file.digest, size_bytes=file.size_bytes),
        lambda start, length: artifacts.get(
            place.project, of=place.of, path=place.path, start=start, length=length
        ),
    )


def part_answer(
    request: AdapterRequest, name: str, found: ObjectInfo, read: Callable[[int, int], Download]
) -> AdapterAnswer | AdapterStream:
    """Give a file, or the part of it that the request asks for.

    Parameters
    ----------
    read
        Gives so many bytes from a place on.
    """
    headers = {
        "accept-ranges": "bytes",
        "content-disposition": disposition(name),
        "etag": f'"{found.digest.partition(":")[2]}"',
    }
    try:
        part = wanted_range(request.headers, found.size_bytes, headers["etag"])
    except RangeUnsatisfiable as error:
        answer = refuse(error)
        return AdapterAnswer(
            status=416, body=answer.body, headers={"content-range": f"bytes */{found.size_bytes}"}
        )
    start, length = part or (0, found.size_bytes)
    if part is not None:
        headers["content-range"] = f"bytes {start}-{start + length - 1}/{found.size_bytes}"
    return AdapterStream(
        chunks=read(start, length).chunks,
        size_bytes=length,
        status=200 if part is None else 206,
        media_type=media_type(name),
        headers=headers,
    )


class RangeUnsatisfiable(MlflowError):
    """No byte of the file lies in the range that was asked for."""

    code = "mlflow_range_unsatisfiable"

    def __init__(self, asked: str, size_bytes: int) -> None:
        super().__init__(
            "INVALID_PARAMETER_VALUE",
            f"The range '{asked[:100]}' lies outside the file, which has {size_bytes} bytes",
        )


def wanted_range(headers: Mapping[str, str], size_bytes: int, etag: str) -> tuple[int, int] | None:
    """Give first byte and length of the part that is asked for, or None for the whole file.

    What is no single range of bytes is passed over, as HTTP allows; so is one asked of another file (`If-Range`).

    Raises
    ------
    RangeUnsatisfiable
        If no byte of the file lies in the range.

    Examples
    --------
    >>> wanted_range({"range": "bytes=2-"}, 10, ""), wanted_range({"range": "bytes=-3"}, 10, "")
    ((2, 8), (7, 3))
    """
    asked = headers.get("range", "")
    match = _RANGE.fullmatch(asked)
    if match is None or headers.get("if-range", etag) != etag:
        return None
    first, last = match[1][:20], match[2][:20]
    if first:
        start, end = int(first), min(int(last) if last else size_bytes - 1, size_bytes - 1)
        if last and int(last) < start:
            return None
    elif last:
        start, end = max(0, size_bytes - int(last)), size_bytes - 1
    else:
        return None
    if start > end:
        raise RangeUnsatisfiable(asked, size_bytes)
    return start, end - start + 1


def media_type(name: str) -> str:
    """Tell the type of a file by its name.

    Examples
    --------
    >>> media_type("MLmodel"), media_type("roc.png"), media_type("model.pkl")
    ('text/plain', 'image/png', 'application/octet-stream')
    """
    ending = posixpath.splitext(name)[1].replace(".", "") or name
    if ending in TEXT_ENDINGS:
        return "text/plain"
    return _TYPES.guess_type(name, strict=False)[0] or "application/octet-stream"


def disposition(name: str) -> str:
    """Give the header that has a browser save a file under a name.

    Examples
    --------
    >>> disposition("a b.txt"), disposition("é.txt")
    ('attachment; filename="a b.txt"', "attachment; filename=e.txt; filename*=UTF-8''%C3%A9.txt")
    """
    if name.isascii():
        return f"attachment; filename={_quoted(name)}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "download"
    encoded = quote(name, safe="!#$&+-.^_`|~")
    return f"attachment; filename={_quoted(plain)}; filename*=UTF-8''{encoded}"


def _quoted(text: str) -> str:
    if _TOKEN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
