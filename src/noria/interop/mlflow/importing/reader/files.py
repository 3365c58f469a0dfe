"""Tells the files of runs and logged models."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from .lines import Telling

_PROXIED = "mlflow-artifacts:"


class Files:
    """Reads artifacts.

    Attributes
    ----------
    wanted
        Whether files are told at all.
    """

    def __init__(self, telling: Telling, *, wanted: bool, root: str | None) -> None:
        self._telling = telling
        self.wanted = wanted
        self._root = root

    def tell(self, owner: str, root: str) -> bool:
        """Tell the files below a root; False if they were not all read."""
        if not self.wanted:
            return False
        n_skipped = self._telling.n_skipped
        self._telling.guarded("artifacts", owner, self._walk, owner, root)
        return self._telling.n_skipped == n_skipped

    def repository(self, root: str) -> Any:
        """Give MLflow's way to the files below a root."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        if self._root is not None and root.startswith(_PROXIED):
            root = f"{self._root.rstrip('/')}/{root[len(_PROXIED) :].lstrip('/')}"
        return get_artifact_repository(root)

    def _walk(self, owner: str, root: str) -> None:
        files = self.repository(root)
        folders: list[str | None] = [None]
        while folders:
            for entry in files.list_artifacts(folders.pop()):
                if entry.is_dir:
                    folders.append(entry.path)
                else:
                    self._telling.guarded(
                        f"artifact of {owner}", entry.path, self.tell_one, files, entry.path
                    )

    def tell_one(self, files: Any, path: str) -> None:
        """Tell one file, which stays in place until the answer."""
        folder = tempfile.mkdtemp(prefix="noria-import-")
        try:
            local = files.download_artifacts(path, folder)
            self._telling.ask("file", path=path, place=str(Path(local).resolve()))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
