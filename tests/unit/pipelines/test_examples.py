"""What the docstrings of pipelines show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from noria import pipelines
from noria.pipelines import codecs, values

MODULES = sorted(module.name for module in pkgutil.iter_modules(pipelines.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_are_true(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a docstring shows is what the code gives."""
    module = importlib.import_module(f"noria.pipelines.{name}")
    # Examples register codecs and fingerprints; they shall not outlive them.
    monkeypatch.setattr(codecs, "_registered", dict(codecs._registered))
    monkeypatch.setattr(values, "_registered", dict(values._registered))

    assert doctest.testmod(module).failed == 0
