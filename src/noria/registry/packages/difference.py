"""What differs between two packages."""

from __future__ import annotations

from typing import Any

import msgspec

from noria.registry.packages.entities import (
    ATTACHED_LIMIT_BYTES,
    CONFIG_LIMIT_BYTES,
    LOCK_FILE,
    Descriptor,
    FileChange,
    ImageManifest,
    PackageConfig,
    PackageDifference,
)
from noria.registry.packages.errors import PackageInvalid
from noria.registry.packages.layout import Layout, read_document
from noria.registry.packages.pylock import read_lock


def compare_packages(
    before: tuple[Layout, Descriptor], after: tuple[Layout, Descriptor]
) -> PackageDifference:
    """Compare two packages by their manifests, configurations and locks. Nothing of them is loaded or trusted."""
    old, new = _Side(*before), _Side(*after)
    return PackageDifference(
        before=before[1].digest,
        after=after[1].digest,
        files=_files(old.manifest, new.manifest),
        config=_changed(old.config(), new.config()),
        distributions=_changed(old.distributions(), new.distributions()),
    )


class _Side:
    def __init__(self, layout: Layout, package: Descriptor) -> None:
        self._layout = layout
        self.manifest = layout.manifest(package)

    def config(self) -> dict[str, Any]:
        data = self._layout.read(self.manifest.config, CONFIG_LIMIT_BYTES)
        return dict(msgspec.structs.asdict(read_document(data, PackageConfig, "configuration")))

    def distributions(self) -> dict[str, str]:
        layer = next((each for each in self.manifest.layers if each.title == LOCK_FILE), None)
        if layer is None:
            raise PackageInvalid(f"The package has no `{LOCK_FILE}`")
        lock = read_lock(self._layout.read(layer, ATTACHED_LIMIT_BYTES))
        found: dict[str, str] = {}
        for each in lock.distributions:
            # One that differs between platforms is there several times.
            versions = {*found.get(each.name, each.version).split(", "), each.version}
            found[each.name] = ", ".join(sorted(versions))
        return found


def _files(before: ImageManifest, after: ImageManifest) -> list[FileChange]:
    old = {each.title: each for each in before.layers}
    new = {each.title: each for each in after.layers}
    return [
        FileChange(
            path=path,
            before=old[path].size if path in old else None,
            after=new[path].size if path in new else None,
        )
        for path in sorted(old.keys() | new.keys())
        if (old[path].digest if path in old else None) != (new[path].digest if path in new else None)
    ]


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
