"""Large files on their way to and from a server: only what the other side lacks travels."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noria.core.errors import Corrupt, Unavailable
from noria.core.objects import far, project
from noria.core.objects.project import ProjectStore
from noria.core.objects.service import Objects
from noria.core.objects.store import SourceChanged
from noria.core.operations import Download
from noria.core.workspace import Workspace

MEBIBYTE = 1 << 20
OLD = random.Random(1).randbytes(12 * MEBIBYTE)
CHANGED = OLD[: 6 * MEBIBYTE] + random.Random(2).randbytes(120_000) + OLD[6 * MEBIBYTE + 120_000 :]
LONGER = random.Random(3).randbytes(MEBIBYTE) + OLD


@pytest.fixture
def transport() -> str:
    """In one process nothing travels."""
    return "http"


@pytest.fixture
def database_kind() -> str:
    """What the operations do on each database is tried with them."""
    return "sqlite"


class Counting:
    """The operations, with the bytes of objects that go over the wire; it can break off in the middle."""

    def __init__(self, service: Objects) -> None:
        self._service = service
        self.sent = self.brought = 0
        self.n_puts = 0
        self.breaks_put: int | None = None
        self.breaks_get_after: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def put(self, *args: Any, **kwargs: Any) -> Any:
        name, body, *rest = args
        self.n_puts += 1
        if self.n_puts == self.breaks_put:
            raise Unavailable("The connection broke")
        return self._service.put(name, self._counted(body), *rest, **kwargs)

    def _counted(self, body: Any) -> Iterator[bytes]:
        for chunk in body:
            self.sent += len(chunk)
            yield chunk

    def get(self, *args: Any, **kwargs: Any) -> Download:
        found = self._service.get(*args, **kwargs)
        return Download(chunks=self._brought(found.chunks), size_bytes=found.size_bytes)

    def _brought(self, chunks: Any) -> Iterator[bytes]:
        for chunk in chunks:
            self.brought += len(chunk)
            yield chunk
            if self.breaks_get_after is not None and self.brought > self.breaks_get_after:
                self.breaks_get_after = None
                raise Unavailable("The connection broke")


@pytest.fixture
def wire(workspace: Workspace) -> Counting:
    """Give the operations of a server, counted."""
    return Counting(workspace.service(Objects))


def store(wire: Counting, **knowing: Any) -> ProjectStore:
    service: Any = wire
    return ProjectStore(service, "default", **knowing)


@pytest.mark.parametrize(
    "content", [CHANGED, LONGER, OLD[: 5 * MEBIBYTE], OLD * 2], ids=["changed", "longer", "shorter", "twice"]
)
def test_only_what_is_new_in_a_file_is_sent(wire: Counting, tmp_path: Path, content: bytes) -> None:
    """What lay in its place before is not sent again, wherever in the file it lies now."""
    path = tmp_path / "big"
    path.write_bytes(OLD)
    [before] = store(wire).put_files([path])
    assert wire.sent == len(OLD)
    path.write_bytes(content)
    wire.sent = 0
    [after] = store(wire, like={str(path): before.digest}).put_files([path])

    assert b"".join(store(wire).open(after.digest)) == content
    assert wire.sent < 2 * MEBIBYTE


def test_only_what_is_new_in_a_file_is_fetched(wire: Counting, tmp_path: Path) -> None:
    """The rest is taken from the file that it replaces; one that changes meanwhile spoils nothing unseen."""
    here = tmp_path / "big"
    here.write_bytes(OLD)
    after = store(wire).put([CHANGED])
    knowing = store(wire, here={after.digest: here})

    assert b"".join(knowing.open(after.digest)) == CHANGED
    assert wire.brought < MEBIBYTE
    assert [b"".join(chunks) for _, chunks in knowing.open_many([after.digest])] == [CHANGED]
    chunks = knowing.open(after.digest)
    next(chunks)
    here.write_bytes(bytes(len(OLD)))
    with pytest.raises(Corrupt):
        list(chunks)


def test_parts_that_arrived_are_not_sent_again(
    wire: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file whose connection breaks goes on where it was."""
    monkeypatch.setattr(far, "IN_PARTS_BYTES", MEBIBYTE)
    monkeypatch.setattr(project, "IN_PARTS_BYTES", MEBIBYTE)
    path = tmp_path / "big"
    content = random.Random(4).randbytes(40 * MEBIBYTE)
    path.write_bytes(content)
    wire.breaks_put = 3
    with pytest.raises(Unavailable):
        store(wire).put_files([path])
    wire.sent = 0
    [info] = store(wire).put_files([path])

    assert wire.sent < len(content) / 2
    assert b"".join(store(wire).open(info.digest)) == content


def test_what_breaks_off_is_asked_for_from_there(wire: Counting) -> None:
    """A download goes on where it was."""
    info = store(wire).put([OLD])
    wire.breaks_get_after = 5 * MEBIBYTE

    assert b"".join(store(wire).open(info.digest)) == OLD
    assert wire.brought < len(OLD) + MEBIBYTE


def test_a_file_that_changes_on_its_way_is_seen(wire: Counting, tmp_path: Path) -> None:
    """What is announced and what comes are compared at the other end."""
    path = tmp_path / "big"
    path.write_bytes(CHANGED)
    before = store(wire).put([OLD])
    with pytest.raises(SourceChanged):
        far.send_file(
            wire,  # type: ignore[arg-type]
            "default",
            path,
            digest="blake3:" + "0" * 64,
            like=before.digest,
            missing=store(wire).missing,
            at_once=1,
        )


def test_what_was_before_may_be_gone(wire: Counting, tmp_path: Path) -> None:
    """A base that the project let go costs only the saving."""
    path = tmp_path / "big"
    path.write_bytes(CHANGED)
    [info] = store(wire, like={str(path): "blake3:" + "0" * 64}).put_files([path])

    assert b"".join(store(wire).open(info.digest)) == CHANGED
