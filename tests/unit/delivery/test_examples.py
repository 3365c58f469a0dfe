"""The examples in the docstrings of manifests and images."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["kubernetes.names", "kubernetes.quantities"])
def test_examples_give_what_they_say(name: str) -> None:
    """Each example gives the line below it."""
    done = doctest.testmod(importlib.import_module(f"noria.delivery.{name}"))
    assert (done.failed, done.attempted > 0) == (0, True)
