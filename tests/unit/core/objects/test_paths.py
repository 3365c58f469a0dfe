"""Paths inside a tree cannot lead out of it."""

from __future__ import annotations

import pytest

from noria.core.objects.paths import PathRefused, case_collisions, check_path, folders_of

REFUSED = (
    "",
    "/",
    "/etc/passwd",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    ".",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "//a",
    "a\0b",
    "\0",
    "a/\udcff",
    "a/" * 2048,
    "é" * 2048,
)


@pytest.mark.parametrize("path", REFUSED)
def test_dangerous_paths_are_refused(path: str) -> None:
    """Absolute, climbing, empty, overlong and unencodable paths are refused; the message is short and valid text."""
    with pytest.raises(PathRefused) as caught:
        check_path(path)
    assert len(caught.value.message.encode()) < 1000


@pytest.mark.parametrize(
    "path",
    ["a", "a/b/c.txt", "...", "..a", "a..", ".hidden/x", "a b", "a\\b", "C:", "~", "-rf", "ä/日本", "a\nb"],
)
def test_plain_paths_are_taken(path: str) -> None:
    """What only looks strange is a name like any other."""
    check_path(path)


def test_folders_above_a_path() -> None:
    """The folders of a path are listed from the outermost."""
    assert folders_of("a/b/c") == ["a", "a/b"]
    assert folders_of("a") == []


def test_paths_that_differ_only_by_case_or_accent_form_are_grouped() -> None:
    """Files and folders that one name stands for on some file systems are found, others are not."""
    composed, decomposed = "caf\u00e9", "cafe\u0301"

    assert case_collisions(["a", "b", "A/x"]) == (("A", "a"),)
    assert case_collisions(["Data/x", "data/y"]) == (("Data", "data"),)
    assert case_collisions([composed, decomposed]) == (tuple(sorted([composed, decomposed])),)
    assert case_collisions(["straße", "STRASSE"]) == (("STRASSE", "straße"),)
    assert case_collisions(["a", "b/a", "b/c"]) == ()
