"""What a model's own code needs to be installed."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from noria.registry.runtimes.requirements import requirements_of_code


def test_code_needs_the_distributions_of_what_it_imports(tmp_path: Path) -> None:
    """Each installed library that any file imports is pinned under its distribution's name; the rest is not named."""
    package = tmp_path / "shapes"
    package.mkdir()
    (package / "__init__.py").write_text("import os, numpy.linalg\nfrom . import area\n")
    (package / "area.py").write_text(
        "from sklearn.base import clone\n\ndef later():\n    import not_installed_here\n"
    )
    (tmp_path / "broken.py").write_text("import polars\nthis is no Python\n")
    assert requirements_of_code(tmp_path) == {
        "numpy": f"numpy=={version('numpy')}",
        "sklearn": f"scikit-learn=={version('scikit-learn')}",
    }
