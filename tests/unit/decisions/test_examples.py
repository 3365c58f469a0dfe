"""What the docstrings of decisions show."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from noria import decisions

FOLDER = Path(decisions.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(FOLDER).with_suffix("").parts)
    for path in FOLDER.rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_are_true(name: str) -> None:
    """What a docstring shows is what the code gives."""
    module = importlib.import_module(f"noria.decisions.{name}")

    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)
