"""Bring the bytes of artifacts into the spool, or straight to the service when the spool has no room for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from noria.core.errors import NoriaError
from noria.core.objects.sources import open_source
from noria.core.workspace import Workspace
from noria.tracking.frames import Kept
from noria.tracking.media import MadeFile
from noria.tracking.outbox import Outbox

_INLINE_BYTES = 64 << 10
"""Shorter files are written into the spool itself."""
_DIRECT_BYTES = 64 << 20
"""Longer ones are sent while the caller waits, rather than copied into the spool first."""

Way = Callable[[], Kept]


class Keeper:
    """Keeps artifacts of one run."""

    def __init__(self, outbox: Outbox, workspace: Workspace, project: str) -> None:
        self._outbox = outbox
        self._workspace = workspace
        self._project = project
        self._process = os.getpid()

    def made(self, made: MadeFile) -> str:
        """Keep a file that is in memory, and give its path."""
        path, data = made
        if len(data) <= _INLINE_BYTES:
            self._outbox.add(Kept(path, data=data))
            return path

        def keep() -> Kept:
            return Kept(path, file=self._outbox.segment.keep_bytes(data))

        def put() -> Kept:
            return Kept(path, digest=self._workspace.objects(self._project).put_bytes(data).digest)

        self._add_by(keep, put)
        return path

    def file(self, path: str, source: Path) -> None:
        """Keep a file on disk as it is now."""
        size_bytes = source.stat().st_size
        if size_bytes <= _INLINE_BYTES:
            with open_source(source) as opened:
                self._outbox.add(Kept(path, data=b"".join(opened.chunks())))
            return

        def keep() -> Kept:
            return Kept(path, file=self._outbox.segment.keep_file(source))

        def put() -> Kept:
            return Kept(path, digest=self._workspace.objects(self._project).put_file(source).digest)

        # In a child made by fork the workspace's connections are the parent's.
        if size_bytes >= _DIRECT_BYTES and os.getpid() == self._process:
            self._add_by(put, keep)
        else:
            self._add_by(keep, put)

    def _add_by(self, first: Way, second: Way) -> None:
        try:
            record = first()
        except NoriaError as error:
            if not error.retryable or os.getpid() != self._process:
                raise
            record = second()
        self._outbox.add(record)
