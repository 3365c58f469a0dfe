"""One form for files of skops: the same fitted estimator gives the same bytes in every process and at any time.

skops names objects by where they lie in memory, and its ZIP file tells the time. Here they are numbered in the order in
which the schema mentions them, and no time is told.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any, Final

_SCHEMA: Final = "schema.json"
_ID: Final = "__id__"
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = 0o644 << 16


def settle_form(path: Path) -> None:
    """Write a file of skops anew in its one form."""
    with zipfile.ZipFile(path) as opened:
        names = set(opened.namelist()) - {_SCHEMA}
        numbering = _Numbering(names)
        schema = numbering.applied(json.loads(opened.read(_SCHEMA)))
        members = {numbering.names[name]: opened.read(name) for name in names}
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as written:
        _write(written, _SCHEMA, json.dumps(schema, indent=1).encode())
        for name in sorted(members):
            _write(written, name, members[name])
    draft.replace(path)


class _Numbering:
    """Numbers objects and files in the order in which they are first met.

    Attributes
    ----------
    names
        New name of each file by its old one.
    """

    def __init__(self, files: set[str]) -> None:
        self._files = files
        self._ids: dict[int, int] = {}
        self.names: dict[str, str] = {}

    def applied(self, node: Any) -> Any:
        """Give a part of the schema with its new numbers and names."""
        if isinstance(node, dict):
            return {key: self._value(key, value) for key, value in node.items()}
        if isinstance(node, list):
            return [self.applied(each) for each in node]
        if isinstance(node, str) and node in self._files:
            suffix = Path(node).suffix
            return self.names.setdefault(node, f"{len(self.names):06d}{suffix}")
        return node

    def _value(self, key: str, value: Any) -> Any:
        if key == _ID and isinstance(value, int):
            return self._ids.setdefault(value, len(self._ids) + 1)
        return self.applied(value)


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    member = zipfile.ZipInfo(name, date_time=_NO_TIME)
    member.external_attr = _MODE
    member.create_system = 3
    archive.writestr(member, data)
