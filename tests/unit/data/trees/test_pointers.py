"""Pointers: what they say is checked, and they name no place but their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from noria.core.errors import NotFound
from noria.data.trees.pointers import (
    Pointer,
    PointerInvalid,
    data_path,
    in_git,
    leave_out_of_git,
    pointer_path,
    pointers_in,
    read_pointer,
    write_pointer,
)

DIGEST = "blake3:" + "ab" * 32
POINTER = Pointer(name="train", version=3, digest=DIGEST, kind="folder", size_bytes=10, n_files=2)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """As TOML, beside what it stands for."""
    path = write_pointer(tmp_path / "data", POINTER)

    assert path == tmp_path / "data.noria"
    assert read_pointer(path) == POINTER
    assert data_path(path) == tmp_path / "data"
    assert pointer_path(tmp_path / "data") == path


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('name = "../../etc"', "cannot be the name"),
        ('digest = "blake3:../../etc/passwd"', "is not a digest"),
        ("version = 0", "none that a version has"),
        ("version = true", "`version`"),
        ('version = "3"', "`version`"),
        ('kind = "link"', "none that a version has"),
        ("size_bytes = -1", "none that a version has"),
    ],
)
def test_a_pointer_that_says_what_cannot_be_is_refused(tmp_path: Path, line: str, why: str) -> None:
    """By name of the file; nothing is looked up with it."""
    path = write_pointer(tmp_path / "data", POINTER)
    key = line.partition(" ")[0]
    lines = [line if each.startswith(key + " ") else each for each in path.read_text().splitlines()]
    path.write_text("\n".join(lines))

    with pytest.raises(PointerInvalid, match=why) as refused:
        read_pointer(path)
    assert str(path) in refused.value.message


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"not = [toml", b"x" * 70_000, b"[name]\n"])
def test_what_is_no_pointer_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, binary, broken or huge."""
    path = tmp_path / "data.noria"
    path.write_bytes(content)

    with pytest.raises(PointerInvalid):
        read_pointer(path)


def test_a_pointer_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    """Which is no error of its form."""
    with pytest.raises(NotFound):
        read_pointer(tmp_path / "data.noria")


def test_pointers_are_found_but_not_inside_of_data(tmp_path: Path) -> None:
    """Hidden folders, workspaces and what pointers stand for are passed over."""
    for place in ("a", "sub/b", ".hidden/c", "a/inside"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        write_pointer(tmp_path / place, POINTER)
    (tmp_path / ".noria").mkdir()

    assert [path.relative_to(tmp_path).as_posix() for path in pointers_in(tmp_path)] == [
        "a.noria",
        "sub/b.noria",
    ]
    assert list(pointers_in(tmp_path, besides=[str((tmp_path / "sub").resolve())])) == [tmp_path / "a.noria"]


def test_git_leaves_data_out_once(tmp_path: Path) -> None:
    """With one line, also for names that git would take for patterns."""
    (tmp_path / ".gitignore").write_text("*.pyc")
    odd = tmp_path / "a*[b] "

    assert leave_out_of_git(tmp_path / "data")
    assert not leave_out_of_git(tmp_path / "data")
    assert leave_out_of_git(odd)
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n/data\n/a\\*\\[b]\\ \n"
    assert not in_git(tmp_path / "nowhere")
    (tmp_path / ".git").mkdir()
    assert in_git(tmp_path / "sub")
