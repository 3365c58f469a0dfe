"""Small versions to pack, layouts to tamper with, and an index of distributions of the tests' own."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec

from noria.core.config import load_settings
from noria.core.objects.trees import put_tree
from noria.core.workspace import Workspace, open_workspace
from noria.registry.entities import ModelVersion, NewModelVersion, Origin, Signature, Task, TensorSpec
from noria.registry.packages.entities import PackagesSection
from noria.registry.service import Models
from support.other_side import other_side

FILES: Mapping[str, bytes] = {
    "model.bin": b"weights " * 2_000,
    "profile.json": b'{"columns":[]}',
    "nested/vocabulary.txt": b"one\ntwo\n",
}


def open_packing(folder: Path, **section: Any) -> Workspace:
    """Open a workspace with a `[packages]` table."""
    settings = load_settings(workspace=str(folder), folder=folder.parent)
    sections = {**settings.sections, "packages": PackagesSection(**section)}
    return open_workspace(replace(settings, sections=sections))


def register_files(
    workspace: Workspace,
    scratch: Path,
    files: Mapping[str, bytes] = FILES,
    *,
    name: str = "iris",
    message: str = "",
    origin: Origin | None = None,
    format: str = "sklearn-skops",  # noqa: A002 - as the field is called
) -> ModelVersion:
    """Register a version of files that no runtime loads: packing does not look into them."""
    for path, data in files.items():
        place = scratch / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    tree = put_tree(workspace.objects(), scratch)
    column = TensorSpec(name="x", datatype="FP64", shape=[-1, 2])
    answer = TensorSpec(name="predictions", datatype="INT64", shape=[-1])
    new = NewModelVersion(
        digest=tree.digest,
        format=format,
        task=Task.CLASSIFICATION,
        signature=Signature(inputs=[column], outputs=[answer]),
        classes=[0, 1],
        metrics={"accuracy": 0.5},
        message=message,
        origin=origin or Origin(),
    )
    return workspace.service(Models).register(workspace.project, name, new)


def blobs_of(folder: Path, digest: str) -> dict[str, bytes]:
    """Give the bytes that the digest of a package covers, by their digests: its manifest and what that lists."""
    blobs = folder / "blobs" / "sha256"
    data = (blobs / digest.removeprefix("sha256:")).read_bytes()
    manifest = json.loads(data)
    named = [each["digest"] for each in (manifest["config"], *manifest["layers"])]
    return {digest: data, **{each: (blobs / each.removeprefix("sha256:")).read_bytes() for each in named}}


def rewrite_manifest(folder: Path, digest: str, change: Any) -> str:
    """Change the manifest of a package as somebody would who then names it by its new digest; gives that."""
    blobs = folder / "blobs" / "sha256"
    manifest = json.loads((blobs / digest.removeprefix("sha256:")).read_bytes())
    change(manifest)
    data = msgspec.json.encode(manifest, order="sorted")
    fresh = f"sha256:{hashlib.sha256(data).hexdigest()}"
    (blobs / fresh.removeprefix("sha256:")).write_bytes(data)
    index = json.loads((folder / "index.json").read_bytes())
    for each in index["manifests"]:
        if each["digest"] == digest:
            each.update(digest=fresh, size=len(data))
    (folder / "index.json").write_bytes(msgspec.json.encode(index))
    return fresh


def wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = ()) -> Path:
    """Write a wheel without code."""
    stem = f"{name.replace('-', '_')}-{version}"
    place = folder / f"{stem}-py3-none-any.whl"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {each}" for each in requires]
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", "\n".join(lines) + "\n")
        archive.writestr(
            f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    return place


@contextmanager
def package_index(folder: Path) -> Iterator[str]:
    """Serve the wheels of a folder as an index (PEP 503, with metadata by PEP 658), and give its address."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        kind, _, rest = handler.path.strip("/").partition("/")
        body = _file(folder / rest) if kind == "files" else _listing(folder, rest)
        handler.send_response(200 if body is not None else 404)
        body = body or b""
        handler.send_header("content-type", "text/html" if kind == "simple" else "application/octet-stream")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with other_side(answer) as side:
        yield f"http://127.0.0.1:{side.port}/simple"


def _file(place: Path) -> bytes:
    if place.suffix != ".metadata":
        return place.read_bytes()
    with zipfile.ZipFile(place.with_suffix("")) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("METADATA")))


def _listing(folder: Path, name: str) -> bytes | None:
    links = [
        f'<a data-dist-info-metadata="true" '
        f'href="/files/{place.name}#sha256={hashlib.sha256(place.read_bytes()).hexdigest()}">{place.name}</a>'
        for place in sorted(folder.glob("*.whl"))
        if place.name.partition("-")[0].replace("_", "-") == name
    ]
    return ("<!DOCTYPE html><html><body>" + "".join(links) + "</body></html>").encode() if links else None
