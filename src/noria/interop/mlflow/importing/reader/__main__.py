"""Runs the folder as one package, wherever it lies."""

import importlib
import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent

# Only while the package is found: what lies beside it must not hide modules that MLflow imports.
sys.path[0] = str(_FOLDER.parent)
program = importlib.import_module(f"{_FOLDER.name}.program")
del sys.path[0]

if __name__ == "__main__":
    program.main()
