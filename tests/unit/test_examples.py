"""What docstrings show."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import noria
from noria.pipelines import codecs, values

FOLDER = Path(noria.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in FOLDER.rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example of a docstring gives the lines below it."""
    # Examples register codecs and fingerprints; they shall not outlive them.
    monkeypatch.setattr(codecs, "_registered", dict(codecs._registered))
    monkeypatch.setattr(values, "_registered", dict(values._registered))

    found = doctest.testmod(importlib.import_module(name))
    assert (found.failed, found.attempted > 0) == (0, True)
