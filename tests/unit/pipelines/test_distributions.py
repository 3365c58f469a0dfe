"""Which distribution the code of a library comes with."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from noria.pipelines.distributions import version_of


def test_every_package_here_is_told_as_the_standard_library_tells_it() -> None:
    """The distributions of each package that can be imported here are those that `importlib.metadata` lists."""
    homes = importlib.metadata.packages_distributions()
    others = [top for top in sorted(homes) if top != "noria" and not _has_a_distribution_of_its_name(top)]
    assert "sklearn" in others
    for top in others:
        names = sorted(set(homes[top]))
        assert version_of(top) == ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def _has_a_distribution_of_its_name(top: str) -> bool:
    try:
        importlib.metadata.version(top)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.parametrize(
    ("files", "brings"),
    [
        ({"RECORD": "shapes/__init__.py,sha256=x,1\nshapes_tools/__init__.py,,\n"}, True),
        ({"RECORD": "shapes.py,sha256=x,1\n"}, True),
        ({"RECORD": "shapes.cpython-311-x86_64-linux-gnu.so,sha256=x,1\n"}, True),
        ({"RECORD": '"shapes/a,b.py",sha256=x,1\nshapes/c.py,,\n'}, True),
        ({"RECORD": "other/__init__.py,,\n", "top_level.txt": "other\nshapes\n"}, True),
        ({"RECORD": "shapes/__init__.py,,\n", "top_level.txt": "other\n"}, False),
        ({"RECORD": "myshapes/__init__.py,,\nother/shapes/__init__.py,,\nshapes/data.csv,,\n"}, False),
        ({"RECORD": "shapesXpy,,\n"}, False),
        ({}, False),
    ],
)
def test_a_package_of_another_name_is_found_by_what_a_distribution_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], brings: bool
) -> None:
    """A distribution is named by the packages that it declares, or else by the code that it lists."""
    folder = tmp_path / "drawing_kit-2.5.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: drawing-kit\nVersion: 2.5\n")
    for name, text in files.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    version_of.cache_clear()
    expected = "drawing-kit 2.5" if brings else "shapes of unknown version"
    assert version_of("shapes") == expected
    version_of.cache_clear()
