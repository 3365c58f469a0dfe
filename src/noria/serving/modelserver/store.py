"""Model versions on this machine's disk, verified by digest before they are loaded."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import msgspec

from noria.core.errors import Corrupt, Failed, NoriaError
from noria.core.ids import new_id
from noria.core.objects.checkouts import checkout
from noria.core.serialisation import to_json
from noria.core.workspace import Workspace
from noria.registry.entities import ServableVersion
from noria.registry.golden import load_golden
from noria.registry.rules import check_consent, servable
from noria.registry.runtimes.port import load_model
from noria.registry.service import Models
from noria.registry.signatures import check_inputs
from noria.serving.modelserver.hashing import tree_digest
from noria.serving.modelserver.routes import LoadedVersion

_ENTITY = "version.json"
_TREE = "tree"
_DRAFT = ".draft-"
_WARM_ROWS = 32

_log = logging.getLogger("noria.serving.store")


class ModelStore:
    """Versions in folders named by project, model, version and digest.

    Parameters
    ----------
    folder
        Of this model server; made if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for draft in folder.glob(f"{_DRAFT}*"):
            shutil.rmtree(draft, ignore_errors=True)

    def find(self, digest: str) -> ServableVersion | None:
        """Give a version that is on the disk, or None. Its bytes are verified by `load`."""
        try:
            return msgspec.json.decode((self._place(digest) / _ENTITY).read_bytes(), type=ServableVersion)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def fetch(self, workspace: Workspace, project: str, model: str, version: int) -> ServableVersion:
        """Bring a version to the disk; the bytes of each file are checked on the way.

        Raises
        ------
        NotFound
            If the version or an object of it does not exist.
        Unavailable
            If the control server is away.
        NotServable
            If the version lacks what serving it needs.
        ConsentMissing
            If its files are pickles that nobody has consented to load; they are not fetched then, so that the version
            is asked for again once somebody has.
        """
        entity = servable(workspace.service(Models).version(project, model, version))
        check_consent(entity)
        draft = self._folder / f"{_DRAFT}{new_id()}"
        draft.mkdir(mode=0o700)
        try:
            checkout(workspace.objects(project), entity.digest, draft / _TREE)
            (draft / _ENTITY).write_bytes(to_json(entity))
            shutil.rmtree(self._place(entity.digest), ignore_errors=True)
            draft.rename(self._place(entity.digest))
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return entity

    def load(self, entity: ServableVersion) -> LoadedVersion:
        """Verify a version's bytes, load it, and warm it with its golden batch.

        Raises
        ------
        Corrupt
            If the bytes are not those that the digest names; they are deleted, so that they are fetched again.
        Invalid, Failed
            If it cannot be loaded, or cannot predict its golden batch.
        """
        tree = self._place(entity.digest) / _TREE
        actual = tree_digest(tree)
        if actual != entity.digest:
            shutil.rmtree(self._place(entity.digest), ignore_errors=True)
            raise Corrupt(
                f"The files of `{entity.ref}` on this machine are not what was registered",
                hint="They were deleted and are fetched again",
                details={"expected": entity.digest, "actual": actual},
            )
        try:
            loaded = LoadedVersion(entity=entity, model=load_model(tree, entity, fast=True))
            _warm(loaded, tree)
        except NoriaError:
            raise
        except Exception as error:
            raise Failed(f"`{entity.ref}` cannot be loaded: {type(error).__name__}: {error}") from error
        return loaded

    def keep_only(self, digests: set[str]) -> None:
        """Delete the versions that no plan names."""
        wanted = {self._place(digest).name for digest in digests}
        for folder in self._folder.iterdir():
            if folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)

    def _place(self, digest: str) -> Path:
        return self._folder / digest.replace(":", "-")


def _warm(loaded: LoadedVersion, tree: Path) -> None:
    golden = load_golden(tree)
    if golden is None:
        _log.info("model.not_warmed", extra={"version": loaded.entity.ref})
        return
    rows = {name: array[:_WARM_ROWS] for name, array in golden.inputs.items()}
    checked = check_inputs(loaded.entity.signature, rows)
    loaded.lane.measure(checked, len(next(iter(checked.values()))))
