"""Examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from noria import catalog, registry, tracking

MODULES = sorted(
    f"{package.__name__}.{module.name}"
    for package in (tracking, registry, catalog)
    for module in pkgutil.iter_modules(package.__path__)
    if not module.ispkg and module.name != "migrations"
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_are_true(name: str) -> None:
    """What a docstring shows is what the code gives."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0
