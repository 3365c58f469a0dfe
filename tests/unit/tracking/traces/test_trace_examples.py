"""Examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from noria.tracking import traces

MODULES = sorted(f"{traces.__name__}.{module.name}" for module in pkgutil.iter_modules(traces.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_are_true(name: str) -> None:
    """What a docstring shows is what the code gives."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0
