import doctest
import importlib
import pkgutil

import pytest

from noria.core import stats

MODULES = sorted(module.name for module in pkgutil.iter_modules(stats.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_are_true(name: str) -> None:
    """What a docstring shows is what the code gives."""
    module = importlib.import_module(f"noria.core.stats.{name}")

    assert doctest.testmod(module).failed == 0


def test_most_modules_show_an_example() -> None:
    """The check above sees the examples that are there."""
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(f"noria.core.stats.{name}") for name in MODULES]
    n_examples = sum(len(found.examples) for module in modules for found in finder.find(module))

    assert n_examples >= 15
