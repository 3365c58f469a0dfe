"""A user's project in a temporary folder, imported, edited and imported again."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from types import ModuleType


@dataclass(slots=True)
class UserProject:
    """A folder on `sys.path` whose modules can be edited."""

    root: Path
    _names: set[str] = field(default_factory=set)

    def write(self, path: str, text: str) -> Path:
        """Write a file of the project, its text without common indentation."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(dedent(text).lstrip("\n"))
        return place

    def load(self, name: str = "pipeline") -> ModuleType:
        """Import a module as a new process would, with everything that it imports from the project."""
        self.forget()
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def forget(self) -> None:
        """Unload the modules of the project."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            paths = [file] if file else list(getattr(module, "__path__", []))
            if any(str(path).startswith(f"{self.root}/") for path in paths):
                del sys.modules[name]


@contextmanager
def user_project(root: Path) -> Iterator[UserProject]:
    """Give a project whose modules can be imported inside the block."""
    root.mkdir(parents=True, exist_ok=True)
    project = UserProject(root.resolve())
    written = sys.dont_write_bytecode
    # Byte code is kept by whole seconds of change, and tests edit a file several times in one.
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(project.root))
    try:
        yield project
    finally:
        sys.path.remove(str(project.root))
        sys.dont_write_bytecode = written
        project.forget()
