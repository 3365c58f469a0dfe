"""Write manifests to a folder, a file for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from noria.core.errors import Conflict, Invalid
from noria.delivery.kubernetes.text import Manifest, to_yaml

HEAD: Final = (
    "# Written by `noria k8s render`, which writes it anew: change the options, or what builds on it.\n"
)

ORDER: Final = (
    "Namespace",
    "NetworkPolicy",
    "ConfigMap",
    "PersistentVolumeClaim",
    "Service",
    "Deployment",
    "CronJob",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
)
"""In which `kubectl apply -f FOLDER` must meet them: it goes by the names of the files."""


def to_text(manifests: Sequence[Manifest]) -> str:
    """Write manifests as one stream, with a line on where they come from."""
    return HEAD + to_yaml(manifests)


def write_folder(folder: Path, manifests: Sequence[Manifest]) -> list[Path]:
    """Write a file for each manifest; files of an earlier rendering that are none of these any more are removed.

    Raises
    ------
    Conflict
        If a file would be written over that is not of an earlier rendering; nothing is written then.
    Invalid
        If the folder cannot be written to.
    """
    files = {file_name(each): HEAD + to_yaml([each]) for each in manifests}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        present = {place.name: _is_ours(place) for place in folder.glob("*.yaml")}
        for name in files:
            if not present.get(name, True):
                raise Conflict(
                    f"`{folder / name}` is there already, and `noria k8s render` did not write it",
                    hint="Move it away, or give another folder with `--out`",
                )
        for name, is_ours in present.items():
            if is_ours and name not in files:
                (folder / name).unlink()
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(f"`{folder}` cannot be written to: {error}", hint="Give another `--out`") from error
    return [folder / name for name in files]


def file_name(manifest: Manifest) -> str:
    """Give the name of a manifest's file."""
    kind: str = manifest["kind"]
    return f"{ORDER.index(kind)}0-{kind.lower()}-{manifest['metadata']['name']}.yaml"


def _is_ours(place: Path) -> bool:
    with place.open("rb") as opened:
        return opened.read(len(HEAD.encode())) == HEAD.encode()
