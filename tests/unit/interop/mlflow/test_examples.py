"""Examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from noria.interop import mlflow

MODULES = sorted(
    f"{mlflow.__name__}.{module.name}" for module in pkgutil.iter_modules(mlflow.__path__) if not module.ispkg
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_are_true(name: str) -> None:
    """What a docstring shows is what the code gives."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0
