"""Whatever is changed in a layout, a package is refused or is the one that was signed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noria.core.errors import NoriaError
from noria.core.workspace import Workspace
from noria.registry.packages import client
from noria.registry.packages.entities import Verified
from noria.registry.packages.opening import open_package
from support.packages import FILES, open_packing, register_files


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Path, Verified]]:
    """Build a package once."""
    root = tmp_path_factory.mktemp("packed")
    with open_packing(root / "workspace") as workspace:
        register_files(workspace, root / "files")
        client.build(workspace, "iris@1", to=root / "layout")
        yield workspace, root / "layout", client.verify(workspace, str(root / "layout"))


EDITS = st.sampled_from(["flip", "cut", "insert", "delete", "empty", "swap"])


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=settings().max_examples // 2
)
@given(data=st.data())
def test_no_change_of_any_byte_passes(
    packed: tuple[Workspace, Path, Verified], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """After one or two edits of any file of the layout, the package is refused, or model and digest are as signed."""
    workspace, layout, signed = packed
    root = tmp_path_factory.mktemp("tampered")
    copy = root / "copy"
    shutil.copytree(layout, copy)
    files = sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file())
    for _ in range(data.draw(st.integers(1, 2), label="edits")):
        edit(copy, files, data)
    try:
        told = client.verify(workspace, str(copy))
        version, folder = open_package(str(copy), workspace, root / "cache")
    except NoriaError:
        pass  # refused, in words; any other exception fails the test
    else:
        assert (told.digest, told.key_id, told.model) == (signed.digest, signed.key_id, signed.model)
        assert version.model == "iris"
        assert {
            p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
        } == FILES
    finally:
        shutil.rmtree(root)


def edit(copy: Path, files: list[str], data: st.DataObject) -> None:
    """Change one file of the layout in some way."""
    path = copy / data.draw(st.sampled_from(files), label="file")
    kind = data.draw(EDITS, label="edit")
    if not path.exists():
        return
    content = path.read_bytes()
    at = data.draw(st.integers(0, max(0, len(content) - 1)), label="at")
    if kind == "delete":
        path.unlink()
    elif kind == "swap":
        other = copy / data.draw(st.sampled_from(files), label="other")
        if other.exists():
            path.write_bytes(other.read_bytes())
    elif kind == "flip" and content:
        bit = 1 << data.draw(st.integers(0, 7), label="bit")
        path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
    else:
        middle = data.draw(st.binary(min_size=1, max_size=20)) if kind == "insert" else b""
        path.write_bytes(
            b"" if kind == "empty" else content[:at] + middle + content[at if middle else len(content) :]
        )
