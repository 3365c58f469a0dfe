"""What is large or comes in batches lies in packs: stored once, found again, collected, and never lost on the way."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard
from blake3 import blake3

from noria.core.clock import ManualClock
from noria.core.errors import NotFound, Unavailable
from noria.core.objects.chunks import LARGE_BYTES, RAW, ZSTD, ChunkDamaged, Codec, cut
from noria.core.objects.digests import hash_bytes
from noria.core.objects.drafts import Draft
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.opening import open_source_of_objects
from noria.core.objects.packs import Footer, PackDamaged, PackedChunk, PackedObject, read_footer
from noria.core.objects.store import ObjectCorrupt, ObjectInfo, ProblemKind
from noria.core.objects.testing import nobody, pattern
from noria.core.objects.upkeep import repair
from support.stores import flip_first_byte, index_of, loose_path, n_transactions, place_of

MIB = 1024 * 1024


def noise(size_bytes: int, seed: int = 1) -> bytes:
    """Give bytes that nothing compresses."""
    return random.Random(seed).randbytes(size_bytes)


def packs(root: Path) -> list[Path]:
    return sorted(root.glob("packs/*/*.pack"))


def packed_bytes(root: Path) -> int:
    return sum(path.stat().st_size for path in packs(root))


def files(folder: Path, contents: list[bytes]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{n:05}" for n in range(len(contents))]
    for path, data in zip(paths, contents, strict=True):
        path.write_bytes(data)
    return paths


def put_all(store: LocalObjectStore, folder: Path, contents: list[bytes]) -> list[str]:
    return [info.digest for info in store.put_files(files(folder, contents))]


def read_all(store: LocalObjectStore, digests: list[str]) -> list[bytes]:
    found = {n: b"".join(chunks) for n, chunks in store.open_many(digests)}
    return [found[n] for n in range(len(digests))]


def kept(*digests: str) -> Callable[[list[str]], set[str]]:
    return lambda asked: set(digests) & set(asked)


def test_a_changed_part_is_all_that_is_stored_again(store: LocalObjectStore, root: Path) -> None:
    """Bytes changed in the middle, or inserted at the start, cost themselves and little around them."""
    data = noise(24 * MIB)
    store.put([data])
    whole = packed_bytes(root)
    assert len(data) <= whole <= 1.01 * len(data)

    changed = data[: 12 * MIB] + noise(MIB // 4, 2) + data[12 * MIB + MIB // 4 :]
    store.put([changed])
    after_change = packed_bytes(root)
    assert MIB // 4 <= after_change - whole <= MIB // 4 + 1.2 * MIB

    inserted = noise(100_000, 3) + data
    digest = store.put(inserted[i : i + 333_333] for i in range(0, len(inserted), 333_333)).digest
    assert packed_bytes(root) - after_change <= 100_000 + 0.8 * MIB
    assert b"".join(store.open(digest)) == inserted


def test_what_compresses_is_compressed(store: LocalObjectStore, root: Path, tmp_path: Path) -> None:
    """Text takes a part of its bytes, alone and in batches, and comes back as it was."""
    rows = [f"{n},{n % 97},name-{n % 13}\n".encode() for n in range(200_000)]
    text = b"".join(rows)
    digests = [store.put([text]).digest, *put_all(store, tmp_path / "in", [text[:5000], text[:700_000]])]

    assert packed_bytes(root) < 0.5 * len(text)
    assert read_all(store, digests) == [text, text[:5000], text[:700_000]]
    assert b"".join(store.open(digests[0], start=1_000_000, length=77)) == text[1_000_000:1_000_077]


def test_many_files_make_one_pack(store: LocalObjectStore, root: Path, tmp_path: Path) -> None:
    """A batch is one file in the store, and none when everything is known."""
    contents = [noise(2000, n) for n in range(300)]
    digests = put_all(store, tmp_path / "in", contents)
    assert len(packs(root)) == 1
    assert not list(root.glob("objects/*/*"))
    assert list((root / "tmp").iterdir()) == []

    assert put_all(store, tmp_path / "in", contents) == digests
    assert len(packs(root)) == 1
    assert read_all(store, digests[::-1]) == contents[::-1]


@pytest.mark.parametrize("way", ["lost", "empty", "cut", "other", "old form"])
def test_a_lost_index_is_made_anew(root: Path, clock: ManualClock, tmp_path: Path, way: str) -> None:
    """Whatever became of the index, everything is found again, and is young."""
    contents = [b"", b"a", noise(50_000), noise(3 * MIB)]
    digests = put_all(LocalObjectStore(root, clock), tmp_path / "in", contents)
    place = root / "index.db"
    if way == "lost":
        place.unlink()
    elif way == "old form":
        with index_of(root) as connection:
            connection.executescript("DROP TABLE chunks; PRAGMA user_version = 99")
    else:
        size = place.stat().st_size
        place.write_bytes({"empty": b"", "cut": place.read_bytes()[: size // 2], "other": b"?" * size}[way])
    clock.advance(100)

    store = LocalObjectStore(root, clock)

    assert read_all(store, digests) == contents
    assert list(store.verify()) == []
    assert store.collect(nobody, grace_s=50).n_young == len(contents)


def test_an_index_that_is_lost_under_a_running_store(
    store: LocalObjectStore, root: Path, clock: ManualClock, tmp_path: Path
) -> None:
    """An instance that has the index open goes over to the new one."""
    first = put_all(store, tmp_path / "in", [b"first", noise(2 * MIB)])
    (root / "index.db").unlink()
    second = put_all(LocalObjectStore(root, clock), tmp_path / "in", [b"second"])

    assert store.missing([*first, *second]) == set()
    third = put_all(store, tmp_path / "in", [b"third"])
    assert read_all(LocalObjectStore(root, clock), first + second + third)[2:] == [b"second", b"third"]


def test_a_copy_without_index_and_times_is_a_store(
    store: LocalObjectStore, root: Path, clock: ManualClock, tmp_path: Path
) -> None:
    """Packs say by themselves what they hold; of a chunk that is stored twice, the whole one is taken."""
    data = noise(2 * MIB)
    digest = store.put([data]).digest
    flip_first_byte(root, digest)
    store.put([data])
    assert len(packs(root)) == 2

    shutil.copytree(root / "packs", tmp_path / "copy" / "packs", copy_function=shutil.copyfile)
    copy = LocalObjectStore(tmp_path / "copy", clock, keeps_index=False)

    assert copy.get(digest, limit_bytes=len(data)) == data
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["packs"]
    assert LocalObjectStore(tmp_path / "copy", clock).get(digest, limit_bytes=len(data)) == data


def test_a_sparse_pack_is_written_anew(
    store: LocalObjectStore, root: Path, clock: ManualClock, tmp_path: Path
) -> None:
    """What is needed of a pack survives its rewriting and a lost index, and the rest gives its room back."""
    contents = [noise(100_000, n) for n in range(20)] + [noise(2 * MIB, 99)]
    digests = put_all(store, tmp_path / "in", contents)
    before = packed_bytes(root)
    clock.advance(10)

    done = store.collect(kept(*digests[:3]), grace_s=1)

    assert (done.n_removed, done.n_live) == (18, 3)
    assert packed_bytes(root) < before / 5
    assert read_all(store, digests[:3]) == contents[:3]
    assert store.missing(digests) == set(digests[3:])
    (root / "index.db").unlink()
    anew = LocalObjectStore(root, clock)
    assert read_all(anew, digests[:3]) == contents[:3]
    assert anew.missing(digests) == set(digests[3:])


def test_chunks_that_another_object_needs_stay(
    store: LocalObjectStore, root: Path, clock: ManualClock
) -> None:
    """An object that shares its chunks with one that goes keeps them, also where only its list is its own."""
    data = noise(6 * MIB)
    first = store.put([data]).digest
    second = store.put([data + data]).digest
    third = store.put([noise(2 * MIB, 2) + data]).digest
    clock.advance(10)

    assert store.collect(kept(second), grace_s=1).n_removed == 2
    assert store.missing([first, second, third]) == {first, third}
    assert b"".join(store.open(second)) == data + data
    clock.advance(10)
    store.collect(kept(second), grace_s=1)
    (root / "index.db").unlink()
    anew = LocalObjectStore(root, clock)
    assert b"".join(anew.open(second)) == data + data
    clock.advance(10)
    anew.collect(nobody, grace_s=1)
    assert packs(root) == []


def test_small_packs_become_one(
    store: LocalObjectStore, root: Path, clock: ManualClock, tmp_path: Path
) -> None:
    """Many batches of little are written into one pack when they are old; young ones are left alone."""
    digests = [put_all(store, tmp_path / "in", [b"%d" % n, b"%d more" % n]) for n in range(20)]
    everything = [digest for pair in digests for digest in pair]
    store.collect(kept(*everything), grace_s=1)
    assert len(packs(root)) == 20
    clock.advance(10)

    store.collect(kept(*everything), grace_s=1)

    assert len(packs(root)) == 1
    assert read_all(store, everything) == [b"%d%s" % (n, more) for n in range(20) for more in (b"", b" more")]
    assert list(store.verify()) == []
    clock.advance(10)
    store.collect(kept(*everything), grace_s=1)
    assert len(packs(root)) == 1


def test_what_is_collected_while_it_is_put_again_is_read_again(
    store: LocalObjectStore, root: Path, clock: ManualClock, tmp_path: Path
) -> None:
    """A batch that counted on chunks which a collector took away meanwhile stores them anew."""
    shared = noise(3 * MIB)
    put_all(store, tmp_path / "in", [b"small", shared])
    clock.advance(10)
    other = LocalObjectStore(root, clock)
    n_removed = []

    def collect(_n_files: int, _n_bytes: int) -> None:
        n_removed.append(other.collect(nobody, grace_s=1).n_removed)

    contents = [b"small", shared, shared + b"more", b"new"]
    infos = store.put_files(files(tmp_path / "in", contents), progress=collect)

    assert sum(n_removed) == 2
    assert read_all(store, [info.digest for info in infos]) == contents
    assert list(store.verify()) == []


def test_a_stream_whose_chunks_are_collected_meanwhile_is_refused(
    store: LocalObjectStore, root: Path, clock: ManualClock
) -> None:
    """Its bytes are gone, so whoever put it is told to put it again; nothing of it is kept."""
    data = noise(3 * MIB)
    store.put([data])
    clock.advance(10)

    def stream() -> Iterator[bytes]:
        yield data
        yield from [noise(MIB, 2)] * 40  # so much that the first chunks were looked at before the end
        LocalObjectStore(root, clock).collect(nobody, grace_s=1)
        yield b"end"

    with pytest.raises(Unavailable, match="collected while") as caught:
        store.put(stream())
    assert "Put it again" in str(caught.value.hint)
    assert store.put([data]).size_bytes == len(data)
    assert list(store.verify()) == []


def test_reading_goes_on_while_packs_are_rewritten(
    store: LocalObjectStore, root: Path, clock: ManualClock, tmp_path: Path
) -> None:
    """Objects that were moved to another pack since they were asked for are found there."""
    first = put_all(store, tmp_path / "1", [noise(900_000, n) for n in range(20)])
    second = put_all(store, tmp_path / "2", [noise(900_000, n) for n in range(20, 40)])
    live = first[:8] + second[:8]
    large = noise(5 * MIB)
    digest = store.put([large]).digest
    clock.advance(10)
    chunks = store.open(digest)
    begun = next(chunks)

    opened = store.open_many(live)
    found: dict[int, str] = {}
    for n, pieces in opened:
        if not found:
            LocalObjectStore(root, clock).collect(kept(*live), grace_s=1)
        found[n] = hash_bytes(b"".join(pieces))

    assert [found[n] for n in range(16)] == live
    assert begun + b"".join(chunks) == large
    assert not store.has(digest)


@pytest.mark.parametrize("damaged", ["small", "large", "compressed"])
def test_quick_and_full_verification(
    store: LocalObjectStore, root: Path, tmp_path: Path, damaged: str
) -> None:
    """A flipped bit is found by reading everything; a pack that is lost or cut off, without reading."""
    contents = {"small": noise(5000), "large": noise(3 * MIB), "compressed": bytes(100_000)}
    digests = dict(zip(contents, put_all(store, tmp_path / "in", [*contents.values()]), strict=True))
    flip_first_byte(root, digests[damaged])

    assert list(store.verify(quick=True)) == []
    assert [(p.kind, p.name) for p in store.verify()] == [(ProblemKind.CORRUPT, digests[damaged])]
    assert [p.name for p in store.verify(digests.values())] == [digests[damaged]]
    [pack] = packs(root)
    os.truncate(pack, pack.stat().st_size - 1)
    assert [(p.kind, p.name) for p in store.verify(quick=True)] == [(ProblemKind.CORRUPT, str(pack))]
    pack.unlink()
    lost = list(store.verify(quick=True))
    assert {p.name for p in lost} == set(digests.values())
    assert all(str(pack) in p.message for p in lost)
    for digest in digests.values():
        with pytest.raises(ObjectCorrupt, match=digest):
            list(store.open(digest))


def test_what_lies_among_packs_and_is_none_is_named(store: LocalObjectStore, root: Path) -> None:
    """Foreign files are told of and left alone; so is a pack whose list of contents is damaged."""
    store.put([noise(2 * MIB)])
    (root / "packs" / "notes").write_bytes(b"?")
    bad = root / "packs" / "aa" / f"{'aa' * 32}.pack"
    bad.parent.mkdir(exist_ok=True)
    bad.write_bytes(b"no pack")

    found = {problem.name: problem.kind for problem in store.verify()}

    assert found == {str(root / "packs" / "notes"): ProblemKind.FOREIGN, str(bad): ProblemKind.CORRUPT}


@pytest.mark.parametrize("way", ["flip", "lose"])
def test_repair_takes_from_another_store(
    store: LocalObjectStore, root: Path, clock: ManualClock, tmp_path: Path, way: str
) -> None:
    """What is damaged or lost is whole again, from the other store's packs and files, which stay as they are."""
    contents = [noise(5000), noise(3 * MIB), bytes(70_000)]
    digests = put_all(store, tmp_path / "in", contents)
    digests.append(store.put_bytes(b"alone").digest)
    only_here = put_all(store, tmp_path / "in", [b"only here"])[0]
    shutil.copytree(root, tmp_path / "other")
    shutil.rmtree(tmp_path / "other" / "packs" / place_of(root, only_here).path.parent.name)
    (tmp_path / "other" / "index.db").unlink()
    for digest in [*digests, only_here]:
        flip_first_byte(root, digest)
    if way == "lose":
        shutil.rmtree(root / "packs")
    other = open_source_of_objects(str(tmp_path / "other"), clock, spool=tmp_path)

    done = repair(store, other.open, list(store.verify()))

    assert set(done.repaired) == set(digests)
    assert [problem.name for problem in done.left] == [only_here]
    assert [store.get(digest, limit_bytes=4 * MIB) for digest in digests] == [*contents, b"alone"]
    assert [problem.name for problem in store.verify()] == [only_here]
    assert not (tmp_path / "other" / "index.db").exists()
    with pytest.raises(NotFound, match="nowhere"):
        open_source_of_objects(str(tmp_path / "nowhere"), clock, spool=tmp_path)


@pytest.mark.parametrize("moved", [False, True])
def test_repair_writes_a_damaged_list_of_contents_anew(
    store: LocalObjectStore, root: Path, clock: ManualClock, tmp_path: Path, moved: bool
) -> None:
    """A pack that still can be read but no longer tells what it holds is mended out of the index."""
    contents = [noise(5000), noise(3 * MIB), bytes(70_000)]
    digests = put_all(store, tmp_path / "in", contents)
    if moved:
        clock.advance(10)
        store.collect(kept(*digests[1:]), grace_s=1)
    [pack] = packs(root)
    with pack.open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        file.write(b"?")
    assert [problem.name for problem in store.verify()] == [str(pack)]

    done = repair(store, store.open, list(store.verify()))

    assert done.repaired == [str(pack)]
    assert list(store.verify()) == []
    (root / "index.db").unlink()
    anew = LocalObjectStore(root, clock)
    assert read_all(anew, digests[1:]) == contents[1:]


def test_stores_of_earlier_versions_are_read_and_mended(
    store: LocalObjectStore, root: Path, clock: ManualClock, tmp_path: Path
) -> None:
    """A large object that is a file of its own is not stored again, and replaced when it is damaged."""
    data = pattern(3 * MIB)
    digest = hash_bytes(data)
    place = loose_path(root, digest)
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    assert store.get(digest, limit_bytes=len(data)) == data

    assert store.put([data]).digest == put_all(store, tmp_path / "in", [data])[0] == digest
    assert store.collect(nobody, grace_s=1e9).n_young == 1
    place.write_bytes(data[:-1] + b"?")
    assert store.put([data]).digest == digest
    assert store.get(digest, limit_bytes=len(data)) == data
    assert list(store.verify()) == []


def test_threads_put_batches_at_once(
    store: LocalObjectStore, root: Path, clock: ManualClock, tmp_path: Path
) -> None:
    """Batches that overlap, through two instances, beside a collector: everything is there in the end."""
    others = [store, LocalObjectStore(root, clock)]
    results: dict[int, list[str]] = {}

    def work(worker: int) -> None:
        contents = [noise(3000, n) for n in range(20 * worker, 20 * worker + 60)] + [noise(2 * MIB, 7)]
        results[worker] = put_all(others[worker % 2], tmp_path / str(worker), contents)
        others[worker % 2].collect(nobody, grace_s=1e6)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for digests in results.values():
        assert [hash_bytes(data) for data in read_all(store, digests)] == digests
    assert list(store.verify()) == []


def test_a_forked_process_uses_the_store_too(store: LocalObjectStore, tmp_path: Path) -> None:
    """A child that was forked while the index was open leaves the parent's alone."""
    before = put_all(store, tmp_path / "1", [b"before"])
    child = os.fork()
    if child == 0:
        put_all(store, tmp_path / "2", [b"child"])
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    after = put_all(store, tmp_path / "3", [b"after"])

    assert read_all(store, [*before, hash_bytes(b"child"), *after]) == [b"before", b"child", b"after"]


def test_an_index_that_cannot_be_used_says_so(store: LocalObjectStore, root: Path, tmp_path: Path) -> None:
    """What SQLite refuses is an error with the place and the mend."""
    put_all(store, tmp_path / "in", [b"x"])
    with index_of(root) as connection:
        connection.execute("ALTER TABLE chunks RENAME TO others")

    with pytest.raises(Unavailable, match=r"index\.db"):
        put_all(store, tmp_path / "in", [b"y"])


def test_cutting_depends_on_content_alone() -> None:
    """However bytes come in, they are cut at the same places, and nothing is lost."""
    data = noise(20 * MIB)

    def lengths(step: int) -> list[int]:
        blocks = [data[i : i + step] for i in range(0, len(data), step)]
        found = [bytes(chunk) for chunks in cut(blocks) for chunk in chunks]
        assert b"".join(found) == data
        return [len(chunk) for chunk in found]

    first = lengths(len(data))
    assert first == lengths(100_001) == lengths(MIB)
    assert max(first) <= LARGE_BYTES // 2
    assert [bytes(chunk) for chunks in cut([b"", b"short", b""]) for chunk in chunks] == [b"short"]


@pytest.mark.parametrize(
    ("codec", "stored", "length"),
    [
        (RAW, b"abc", 4),
        (7, b"abc", 3),
        (ZSTD, b"abc", 3),
        (ZSTD, zstandard.ZstdCompressor().compress(bytes(1000)), 999),
        (ZSTD, zstandard.ZstdCompressor().compress(bytes(1000))[:-2], 1000),
        (ZSTD, zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000)), 1000),
    ],
)
def test_a_chunk_in_no_form_is_damaged(codec: int, stored: bytes, length: int) -> None:
    """Bytes of another length, of an unknown form, or that do not say how long they are, are refused."""
    with pytest.raises(ChunkDamaged):
        Codec().decode(codec, stored, length)


def written_pack(path: Path, footer: Footer | bytes, body: bytes = b"abc", **over: bytes) -> Path:
    """Write a pack by hand, as its documentation says."""
    listed = footer if isinstance(footer, bytes) else msgspec.msgpack.encode(footer)
    digest = over.get("digest", blake3(listed).digest())
    magic = over.get("magic", b"NORIAPK1")
    path.write_bytes(b"NORIAPK1" + body + listed + struct.pack("<Q32s8s", len(listed), digest, magic))
    return path


ABC = bytes.fromhex(hash_bytes(b"abc").removeprefix("blake3:"))


def test_a_pack_written_by_hand_is_read(store: LocalObjectStore, root: Path, tmp_path: Path) -> None:
    """The form that is documented is the form that is read."""
    footer = Footer(1, [PackedChunk(ABC, 8, 3, 3, RAW)], [PackedObject(ABC, 3, b"")])
    made = written_pack(tmp_path / "pack", footer)
    with made.open("rb") as file:
        pack_id, read = read_footer(file.fileno(), place="pack")
    assert read == footer
    place = root / "packs" / pack_id.hex()[:2] / f"{pack_id.hex()}.pack"
    place.parent.mkdir(parents=True)
    made.rename(place)

    assert store.get(hash_bytes(b"abc"), limit_bytes=3) == b"abc"


@pytest.mark.parametrize(
    "footer",
    [
        Footer(2, [], []),
        Footer(1, [PackedChunk(ABC, 8, 4000, 3, RAW)], []),
        Footer(1, [PackedChunk(ABC, -1, 3, 3, RAW)], []),
        Footer(1, [PackedChunk(b"short", 8, 3, 3, RAW)], []),
        Footer(1, [], [PackedObject(ABC, 3, b"odd")]),
        Footer(1, [], [PackedObject(ABC, 3, struct.pack("<32sI", ABC, 4))]),
        Footer(1, [], [PackedObject(b"short", 3, b"")]),
        b"\xff\xff",
    ],
)
def test_a_pack_that_lists_what_cannot_be_is_refused(tmp_path: Path, footer: Footer | bytes) -> None:
    """Also one with the right digest, as another place might send it."""
    with written_pack(tmp_path / "pack", footer).open("rb") as file, pytest.raises(PackDamaged, match="pack"):
        read_footer(file.fileno(), place="pack")


def test_a_file_that_is_no_pack_is_refused(tmp_path: Path) -> None:
    """Cut off, of another kind, with another digest, or another pack than was expected."""
    good = Footer(1, [], [])
    made = [
        written_pack(tmp_path / "1", good, digest=bytes(32)),
        written_pack(tmp_path / "2", good, magic=b"NORIAPK2"),
        tmp_path / "3",
        tmp_path / "4",
    ]
    made[2].write_bytes(b"")
    made[3].write_bytes(b"x" * 60)
    for path in made:
        with path.open("rb") as file, pytest.raises(PackDamaged):
            read_footer(file.fileno(), place="pack")
    with written_pack(tmp_path / "5", good).open("rb") as file, pytest.raises(PackDamaged):
        read_footer(file.fileno(), place="pack", expected=bytes(32))


def test_the_index_says_when_an_object_was_put(
    store: LocalObjectStore, root: Path, clock: ManualClock, tmp_path: Path
) -> None:
    """A put of what is there already is one change of a row, and no pack."""
    [digest] = put_all(store, tmp_path / "in", [noise(2 * MIB)])
    clock.advance(5)
    store.put_file(tmp_path / "in" / "00000")

    with index_of(root) as connection:
        rows = connection.execute("SELECT hex(digest), put_at FROM objects").fetchall()
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert rows == [(digest.removeprefix("blake3:").upper(), round(clock.now().timestamp() * 1e9))]
    assert len(packs(root)) == 1


def test_a_batch_is_one_transaction_of_the_index(store: LocalObjectStore, root: Path, tmp_path: Path) -> None:
    """However many files it has, new, known and large ones among them."""
    put_all(store, tmp_path / "first", [noise(100, seed) for seed in range(3)])
    before = n_transactions(root)
    put_all(store, tmp_path / "in", [*(noise(100, seed) for seed in range(400)), noise(3 * MIB, 500)])
    after_files = n_transactions(root)
    many = files(tmp_path / "more", [noise(100, 1000 + seed) for seed in range(100)])
    *infos, closing = store.put_files_with(many, lambda infos: noise(2 * MIB, len(infos)))

    assert (before, after_files, n_transactions(root)) == (1, 2, 3)
    assert store.get(closing.digest, limit_bytes=4 * MIB) == noise(2 * MIB, 100)
    assert store.missing([info.digest for info in infos]) == set()


def test_what_lists_files_does_not_lie_in_their_pack(
    store: LocalObjectStore, root: Path, tmp_path: Path
) -> None:
    """Files of one tree are needed by the next, which is sent without what lists the first."""
    paths = files(tmp_path / "in", [noise(100, seed) for seed in range(5)])
    told: list[list[str]] = []

    def closing(infos: list[ObjectInfo]) -> bytes:
        told.append([info.digest for info in infos])
        return noise(2 * MIB)

    *infos, listing = store.put_files_with(paths, closing)
    small = store.put_files_with(paths[:2], lambda _: b"a list")[-1]

    assert told == [[info.digest for info in infos]] == [[info.digest for info in store.put_files(paths)]]
    assert place_of(root, listing.digest).path != place_of(root, infos[0].digest).path
    assert small.digest == hash_bytes(b"a list")
    assert loose_path(root, small.digest).exists()
    assert list(store.verify()) == []


def test_a_small_object_is_listed_in_the_pack_of_its_chunk(
    store: LocalObjectStore, root: Path, tmp_path: Path
) -> None:
    """Also the one that fills a pack: who is sent this pack alone has the object."""
    n_files = 70
    digests = put_all(store, tmp_path / "in", [noise(LARGE_BYTES, seed) for seed in range(n_files)])

    with index_of(root) as connection:
        apart = connection.execute(
            "SELECT count(*) FROM objects o JOIN chunks c USING (digest) WHERE o.pack <> c.pack"
        ).fetchone()
    assert apart == (0,)
    assert len(packs(root)) == 2
    assert store.missing(digests) == set()


def test_what_the_disk_refuses_on_the_way_is_told(
    store: LocalObjectStore, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that a flush meets before the last one is not lost with it, since the system tells it once."""
    refused = iter([True])

    def refuse(draft: Draft) -> None:
        if next(refused, False):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fsync(draft.fd)

    monkeypatch.setattr(Draft, "flush_so_far", refuse)
    data = noise(40 * MIB)
    with pytest.raises(Unavailable, match="refused: Input/output error"):
        store.put([data])
    assert packs(root) == []
    assert list((root / "tmp").iterdir()) == []

    assert b"".join(store.open(store.put([data]).digest)) == data
