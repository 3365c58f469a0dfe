"""What the objects of a project promise, over each transport and on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.errors import Corrupt, Invalid, NotFound, TooLarge, Unavailable
from noria.core.objects.deltas import Assembly, Piece, list_chunks
from noria.core.objects.digests import DigestMismatch
from noria.core.objects.references import ObjectNotInProject
from noria.core.objects.service import DigestList, Objects
from noria.core.objects.store import ObjectInfo, RangeInvalid
from noria.core.workspace import Workspace
from support.conformance import Services

BIG = bytes(range(256)) * 9000
"""Larger than one chunk of any layer."""


def digest_of(data: bytes) -> str:
    """Compute a digest independently of the store."""
    return f"blake3:{blake3(data).hexdigest()}"


def pieces(data: bytes, size: int = 100_000) -> Iterator[bytes]:
    """Cut bytes into a stream."""
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


@pytest.mark.parametrize("data", [b"", b"x", BIG], ids=["empty", "one byte", "2 MB"])
def test_what_was_put_is_got(services: Services, data: bytes) -> None:
    """An object comes back byte by byte under the digest of its content."""
    objects = services(Objects)
    stored = objects.put("default", pieces(data))
    download = objects.get("default", stored.digest)

    assert stored == ObjectInfo(digest=digest_of(data), size_bytes=len(data))
    assert download.size_bytes == len(data)
    assert download.read() == data
    assert objects.info("default", stored.digest) == stored


def test_putting_twice_keeps_one(services: Services) -> None:
    """The same bytes are the same object."""
    objects = services(Objects)

    assert objects.put("default", [b"same"]) == objects.put("default", [b"sa", b"me"])


def test_a_put_with_the_right_digest_is_checked(services: Services) -> None:
    """Bytes that do not have the digest that came with them are refused, and nothing is kept."""
    objects = services(Objects)
    right = objects.put("default", [b"abc"], digest=digest_of(b"abc"))
    with pytest.raises(DigestMismatch):
        objects.put("default", [b"abd"], digest=digest_of(b"xyz"))
    with pytest.raises(ObjectNotInProject):
        objects.info("default", digest_of(b"abd"))

    assert right.digest == digest_of(b"abc")


@pytest.mark.parametrize(
    ("start", "length"),
    [(0, 10), (5, 0), (5, None), (100_000, 900_000), (len(BIG) - 1, 50), (len(BIG), None)],
)
def test_a_part_is_got(services: Services, start: int, length: int | None) -> None:
    """A part of an object is the slice of its bytes, cut at its end."""
    objects = services(Objects)
    stored = objects.put("default", pieces(BIG))
    part = objects.get("default", stored.digest, start=start, length=length)
    expected = BIG[start:] if length is None else BIG[start : start + length]

    assert part.size_bytes == len(expected)
    assert part.read() == expected


@pytest.mark.parametrize(("start", "length"), [(-1, None), (4, None), (0, -1)])
def test_a_part_outside_of_the_object_is_refused(services: Services, start: int, length: int | None) -> None:
    """A part that cannot be is an error that names object and bounds."""
    objects = services(Objects)
    stored = objects.put("default", [b"abc"])

    with pytest.raises(RangeInvalid, match=stored.digest):
        objects.get("default", stored.digest, start=start, length=length)


def test_a_digest_is_no_key(services: Services) -> None:
    """Another project's object cannot be read, sized or found by its digest until it is uploaded there too."""
    services(Projects).create(NewProject(name="other"))
    objects = services(Objects)
    stored = objects.put("default", [b"secret"])
    for look in (objects.get, objects.info):
        with pytest.raises(ObjectNotInProject):
            look("other", stored.digest)
    missing = objects.missing("other", DigestList(digests=[stored.digest])).digests
    objects.put("other", [b"secret"])

    assert missing == [stored.digest]
    assert objects.get("other", stored.digest).read() == b"secret"


def test_what_a_project_lacks_is_told_in_order(services: Services) -> None:
    """Of the digests asked for, those that need an upload are named once each, in the order of asking."""
    objects = services(Objects)
    held = objects.put("default", [b"held"]).digest
    absent = [digest_of(b"one"), digest_of(b"two")]
    asked = DigestList(digests=[absent[1], held, absent[0], absent[1]])

    assert objects.missing("default", asked).digests == [absent[1], absent[0]]
    assert objects.missing("default", DigestList(digests=[])).digests == []


@pytest.mark.parametrize(
    "digest", ["x", "blake3:", "blake3:00", "md5:" + "0" * 32, "../../etc/passwd", "BLAKE3:" + "0" * 64]
)
@pytest.mark.alike
def test_a_malformed_digest_is_refused(services: Services, digest: str) -> None:
    """What is not a digest reaches no file."""
    objects = services(Objects)
    for look in (objects.get, objects.info):
        with pytest.raises(Invalid):
            look("default", digest)
    with pytest.raises(Invalid):
        objects.missing("default", DigestList(digests=[digest]))


def test_an_unknown_object_is_not_found(services: Services) -> None:
    """A digest that nobody uploaded is named."""
    with pytest.raises(NotFound, match=digest_of(b"never")):
        services(Objects).get("default", digest_of(b"never"))


class Torn(Exception):
    """What breaks an upload."""


def test_an_upload_that_breaks_leaves_nothing(services: Services, context: Context) -> None:
    """A stream that raises in the middle is no object, and what it raised comes back."""

    def torn() -> Iterator[bytes]:
        yield BIG
        raise Torn

    objects = services(Objects)
    with pytest.raises(Torn):
        objects.put("default", torn())

    assert objects.missing("default", DigestList(digests=[digest_of(BIG)])).digests == [digest_of(BIG)]
    assert list(context.objects.verify()) == []


def test_damaged_bytes_are_never_taken_for_good(services: Services, context: Context) -> None:
    """A reader of an object that rotted on disk gets an error, not the wrong bytes."""
    objects = services(Objects)
    stored = objects.put("default", pieces(BIG))
    kept = Path(context.settings.objects_url).rglob("*")
    path = next(each for each in kept if each.suffix == ".pack")
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises((Corrupt, Unavailable)):
        objects.get("default", stored.digest).read()


def test_the_store_of_a_project_is_the_same_on_both_sides(workspace: Workspace) -> None:
    """The object port over a project's objects puts, finds, reads and bounds as the store itself."""
    store = workspace.objects()
    stored = store.put_bytes(b"port")

    assert store.has(stored.digest)
    assert not store.has(digest_of(b"never"))
    assert store.size(stored.digest) == 4
    assert store.get(stored.digest, limit_bytes=4) == b"port"
    assert store.missing([stored.digest, digest_of(b"never")]) == {digest_of(b"never")}
    with pytest.raises(TooLarge):
        store.get(stored.digest, limit_bytes=3)


def test_many_files_go_and_come_in_few_requests(workspace: Workspace, tmp_path: Path) -> None:
    """Small and large ones, equal ones and empty ones; each comes back under its own place in the list."""
    store = workspace.objects()
    contents = [b"", b"a", b"b", b"a", BIG, b"c" * 2_000_000]
    paths = [tmp_path / str(n) for n in range(len(contents))]
    for path, data in zip(paths, contents, strict=True):
        path.write_bytes(data)
    told: list[int] = []
    infos = store.put_files(paths, progress=lambda n_files, _: told.append(n_files))
    again = store.put_files(paths)
    digests = [info.digest for info in infos]
    back = {n: b"".join(chunks) for n, chunks in store.open_many(digests)}

    assert digests == [digest_of(data) for data in contents]
    assert again == infos
    assert sum(told) == len(contents)
    assert [back[n] for n in range(len(contents))] == contents


def test_a_batch_is_bounded_and_whole(services: Services) -> None:
    """A body that ends within an object, or holds too much, is refused, and nothing of it enters."""
    objects = services(Objects)
    with pytest.raises(Invalid, match="ends within"):
        objects.put_batch("default", [(9).to_bytes(8, "little"), b"short"])
    with pytest.raises(TooLarge):
        objects.put_batch("default", [(1 << 40).to_bytes(8, "little")])

    assert objects.missing("default", DigestList(digests=[digest_of(b"short")])).digests == [
        digest_of(b"short")
    ]


def test_an_object_is_put_together_of_others(services: Services) -> None:
    """Of pieces in any order; the chunks of an object are the same for each who cuts it."""
    objects = services(Objects)
    first, second = objects.put("default", [BIG]), objects.put("default", [b"0123456789"])
    pieces = [
        Piece(digest=second.digest, start=8, length=2),
        Piece(digest=first.digest, start=100, length=2_000_000),
        Piece(digest=second.digest, start=0, length=1),
    ]
    whole = b"89" + BIG[100:2_000_100] + b"0"
    made = objects.assemble("default", Assembly(digest=digest_of(whole), pieces=pieces))
    chunks = objects.chunks("default", made.digest)

    assert made == ObjectInfo(digest=digest_of(whole), size_bytes=len(whole))
    assert objects.get("default", made.digest).read() == whole
    assert chunks == list_chunks([whole])
    assert [chunk.digest for chunk in chunks.placed()] == [
        digest_of(whole[chunk.start : chunk.start + chunk.length]) for chunk in chunks.placed()
    ]


def test_nothing_is_put_together_of_what_is_not_there(services: Services) -> None:
    """Of another project's bytes, of bytes outside an object, of too many, or with another digest."""
    objects = services(Objects)
    services(Projects).create(NewProject(name="other"))
    mine, theirs = objects.put("default", [b"mine"]).digest, objects.put("other", [b"theirs"]).digest

    def assemble(digest: str, start: int, length: int, n_times: int = 1) -> None:
        piece = Piece(digest=digest, start=start, length=length)
        objects.assemble("default", Assembly(digest=digest_of(b"mine"), pieces=[piece] * n_times))

    with pytest.raises(ObjectNotInProject):
        assemble(theirs, 0, 6)
    with pytest.raises(ObjectNotInProject):
        objects.chunks("default", theirs)
    for start, length in ((2, 3), (-1, 2), (0, 0), (5, 1)):
        with pytest.raises(Invalid, match="not within"):
            assemble(mine, start, length)
    with pytest.raises(TooLarge, match="pieces"):
        assemble(mine, 0, 4, n_times=20_001)
    with pytest.raises(DigestMismatch):
        assemble(mine, 0, 3)


def test_what_a_project_does_not_hold_is_not_fetched_by_its_digest(services: Services) -> None:
    """Not even beside what it holds."""
    objects = services(Objects)
    mine = objects.put("default", [b"mine"]).digest
    services(Projects).create(NewProject(name="other"))
    theirs = objects.put("other", [b"theirs"]).digest

    with pytest.raises(ObjectNotInProject):
        objects.fetch("default", DigestList(digests=[mine, theirs])).read()
