"""What the crash tests start and kill: writers and collectors of one store, and a driver that dies at every instant."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from noria.core.clock import SystemClock
from noria.core.objects.archives import pack_folder, unpack
from noria.core.objects.checkouts import checkout
from noria.core.objects.digests import hash_bytes
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.trees import put_tree
from support.stores import index_of, loose_path, make_old

OLD = b"an object that was there before"
NEW = b"an object that is being put" * 30_000
LARGE = random.Random(1).randbytes(1_300_000)
HOUR_S = 3600.0
ONLY_LOOKING = {
    "close",
    "dup",
    "fspath",
    "fstat",
    "fsync",
    "getcwd",
    "lstat",
    "pread",
    "scandir",
    "stat",
    "strerror",
}


def say(text: str) -> None:
    """Write a line in one go, so that a killed process never leaves half of one."""
    os.write(1, f"{text}\n".encode())


def put_for_ever(root: Path, seed: int) -> None:
    """Put objects of all sizes, many of them twice, and say the digest of each after its put returned."""
    store, source = LocalObjectStore(root, SystemClock()), random.Random(seed)
    file = Path(tempfile.mkdtemp(dir=root.parent)) / "file"
    while True:
        size_bytes = source.choice([0, 10, 10_000, 300_000, 1_500_000])
        data = random.Random(source.randrange(40)).randbytes(size_bytes)
        file.write_bytes(data)
        way = source.randrange(5)
        if way == 0:
            info = store.put_bytes(data)
        elif way == 1:
            info = store.put(data[i : i + 50_000] for i in range(0, size_bytes, 50_000))
        elif way == 2:
            info = store.put_file(file)
        elif way == 3:
            info = store.put_unflushed(data)
        else:
            info = store.put_files([file, Path(__file__), file])[2]
        say(info.digest)


def churn_for_ever(root: Path, seed: int) -> None:
    """Put the same few objects again and again, look that each is there, then make it look forgotten."""
    store = LocalObjectStore(root, SystemClock())
    files = [Path(tempfile.mkdtemp(dir=root.parent)) / name for name in ("small", "large")]
    for n in itertools.count():
        data = f"{seed} {n % 3}".encode() * 100
        contents = [f"packed {seed} {n % 2}".encode() * 100, random.Random(seed + n % 2).randbytes(1_200_000)]
        for file, content in zip(files, contents, strict=True):
            file.write_bytes(content)
        digests = [store.put_bytes(data).digest, *(info.digest for info in store.put_files(files))]
        for digest, content in zip(digests, [data, *contents], strict=True):
            if store.missing([digest]) or store.get(digest, limit_bytes=len(content)) != content:
                say(f"LOST {digest}")
        forget(root, digests)
        say(f"round {n}")


def forget(root: Path, digests: list[str]) -> None:
    """Make some objects and all packs look old."""
    os.utime(loose_path(root, digests[0]), (0, 0))
    with index_of(root) as connection:
        for digest in digests[1:]:
            key = bytes.fromhex(digest.removeprefix("blake3:"))
            connection.execute("UPDATE objects SET put_at = 0 WHERE digest = ?", (key,))
        connection.execute("UPDATE packs SET put_at = 0")


def collect_for_ever(root: Path) -> None:
    """Remove everything older than an hour, again and again."""
    store = LocalObjectStore(root, SystemClock())
    for n in itertools.count():
        removed = store.collect(lambda _: set(), grace_s=HOUR_S).n_removed
        say(f"round {n} removed {removed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something during which a process dies.

    Attributes
    ----------
    do
        What the dying process does in the folder.
    look
        Raises if the folder is not as it may be after a death, whenever it came.
    done
        Raises if the folder is not as it must be after the deed.
    """

    do: Callable[[Path], object]
    look: Callable[[Path], None]
    done: Callable[[Path], None]


def store_in(folder: Path) -> LocalObjectStore:
    return LocalObjectStore(folder / "store", SystemClock())


def set_up(folder: Path) -> None:
    """Make a store with an object, a source folder, and a second store with that folder in it."""
    store_in(folder).put_bytes(OLD)
    (folder / "source" / "sub").mkdir(parents=True)
    (folder / "source" / "run").write_bytes(OLD)
    (folder / "source" / "run").chmod(0o755)
    (folder / "source" / "sub" / "data").write_bytes(NEW)
    (folder / "source" / "sub" / "large").write_bytes(LARGE)
    put_tree(LocalObjectStore(folder / "other", SystemClock()), folder / "source")


def check_store(folder: Path) -> None:
    """Look that the store verifies and holds what it held before."""
    store = store_in(folder)
    assert list(store.verify()) == []
    assert store.get(hash_bytes(OLD), limit_bytes=len(OLD)) == OLD


def check_new(folder: Path) -> None:
    """Look that the new object is there, whole."""
    check_store(folder)
    assert store_in(folder).get(hash_bytes(NEW), limit_bytes=len(NEW)) == NEW


def check_tree(folder: Path) -> None:
    """Look that the objects of a tree are there, whole."""
    check_new(folder)
    assert store_in(folder).get(hash_bytes(LARGE), limit_bytes=len(LARGE)) == LARGE


def check_target(folder: Path) -> None:
    """Look that each file of a checkout is whole or not there."""
    for path in ("run", "sub/data", "sub/large"):
        place = folder / "target" / path
        assert not place.exists() or place.read_bytes() == (folder / "source" / path).read_bytes()


def check_target_done(folder: Path) -> None:
    """Look that a checkout is complete, beside whatever died before."""
    for path in ("run", "sub/data", "sub/large"):
        assert (folder / "target" / path).read_bytes() == (folder / "source" / path).read_bytes()
    assert os.access(folder / "target" / "run", os.X_OK)


def check_unpacked(folder: Path) -> None:
    """Look that an unpacked folder is complete or not there."""
    if (folder / "unpacked").exists():
        check_unpacked_done(folder)


def check_unpacked_done(folder: Path) -> None:
    """Look that an unpacked folder is complete."""
    assert (folder / "unpacked" / "run").read_bytes() == OLD
    assert (folder / "unpacked" / "sub" / "data").read_bytes() == NEW


def tree_digest(folder: Path) -> str:
    """Give the digest of the source as a tree, from the second store."""
    return put_tree(LocalObjectStore(folder / "other", SystemClock()), folder / "source").digest


def put_and_flush(folder: Path) -> None:
    """Put without waiting for the disk, what is new and what is there, and have both on it afterwards."""
    store = store_in(folder)
    store.flush([store.put_unflushed(data).digest for data in (NEW, OLD)])


def damage_and_put(folder: Path) -> None:
    """Put over a damaged object, which is cut to a part of its bytes first."""
    name = hash_bytes(NEW).removeprefix("blake3:")
    place = folder / "store" / "objects" / name[:2] / name[2:]
    place.parent.mkdir(exist_ok=True)
    if not place.exists():
        place.write_bytes(NEW[:100])
    store_in(folder).put_bytes(NEW)


def check_damaged(folder: Path) -> None:
    """Look that nothing but the damaged object is wrong."""
    assert {problem.name for problem in store_in(folder).verify()} <= {hash_bytes(NEW)}


def collect_all(folder: Path) -> None:
    """Make the second store's objects old and collect them."""
    make_old(folder / "other")
    LocalObjectStore(folder / "other", SystemClock()).collect(lambda _: set(), grace_s=HOUR_S)


def check_other(folder: Path) -> None:
    """Look that the second store verifies, whatever it still holds."""
    assert list(LocalObjectStore(folder / "other", SystemClock()).verify()) == []


def check_collected(folder: Path) -> None:
    """Look that the second store holds nothing."""
    store = LocalObjectStore(folder / "other", SystemClock())
    assert store.missing([hash_bytes(OLD), hash_bytes(NEW), hash_bytes(LARGE)]) == {
        hash_bytes(OLD), hash_bytes(NEW), hash_bytes(LARGE)
    }  # fmt: skip


def unpack_once(folder: Path) -> None:
    """Unpack, unless a process that died meanwhile had come to the end."""
    if not (folder / "unpacked").exists():
        unpack(pack_folder(folder / "source"), folder / "unpacked")


def check_first(folder: Path) -> None:
    """Look that a store that never was before verifies."""
    assert list(LocalObjectStore(folder / "deep" / "first", SystemClock()).verify()) == []


def check_first_done(folder: Path) -> None:
    """Look that a store that never was before holds its first object."""
    store = LocalObjectStore(folder / "deep" / "first", SystemClock())
    assert store.get(hash_bytes(NEW), limit_bytes=len(NEW)) == NEW


DEEDS = {
    "first put": Deed(
        do=lambda folder: LocalObjectStore(folder / "deep" / "first", SystemClock()).put_bytes(NEW),
        look=check_first,
        done=check_first_done,
    ),
    "put": Deed(do=lambda folder: store_in(folder).put([NEW, b""]), look=check_store, done=check_new),
    "put again": Deed(do=lambda folder: store_in(folder).put_bytes(OLD), look=check_store, done=check_store),
    "put unflushed": Deed(do=put_and_flush, look=check_store, done=check_new),
    "put file": Deed(
        do=lambda folder: store_in(folder).put_file(folder / "source" / "sub" / "data"),
        look=check_store,
        done=check_new,
    ),
    "put over damage": Deed(do=damage_and_put, look=check_damaged, done=check_new),
    "put tree": Deed(
        do=lambda folder: put_tree(store_in(folder), folder / "source"), look=check_store, done=check_tree
    ),
    "collect": Deed(do=collect_all, look=check_other, done=check_collected),
    "checkout": Deed(
        do=lambda folder: checkout(
            LocalObjectStore(folder / "other", SystemClock()), tree_digest(folder), folder / "target"
        ),
        look=check_target,
        done=check_target_done,
    ),
    "unpack": Deed(do=unpack_once, look=check_unpacked, done=check_unpacked_done),
}


def die_at_every_instant(name: str, stride: int = 1) -> int:
    """Do a deed over and over, killed before its first call to the system, before its second, and so on to its end.

    Calls that only look are not counted: the disk is the same before and after.

    Parameters
    ----------
    stride
        1 for every instant, n for each n-th.

    Returns
    -------
    int
        Number of deaths.
    """
    for n_deaths in itertools.count():
        at = 1 + n_deaths * stride
        with _folder() as folder:
            set_up(folder)
            survived = _dies(DEEDS[name].do, folder, at)
            if survived:
                DEEDS[name].done(folder)
                return n_deaths
            DEEDS[name].look(folder)
            DEEDS[name].do(folder)  # the dead process left nothing that is in the way
            DEEDS[name].done(folder)
    raise AssertionError


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # What is killed is a process, not the machine: memory serves as well as a disk, and flushes cost nothing there.
    memory = Path("/dev/shm")  # noqa: S108
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _dies(do: Callable[[Path], object], folder: Path, at: int) -> bool:
    child = os.fork()
    if child == 0:
        n_calls = itertools.count(1)

        def profile(_frame: FrameType, event: str, called: object) -> None:
            if event == "c_call" and _changes_the_disk(called) and next(n_calls) == at:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            threading.setprofile(profile)
            sys.setprofile(profile)
            do(folder)
            sys.setprofile(None)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    assert os.waitstatus_to_exitcode(status) == 0
    return True


def _changes_the_disk(called: object) -> bool:
    module, name = getattr(called, "__module__", None), getattr(called, "__name__", "")
    if isinstance(getattr(called, "__self__", None), sqlite3.Connection):
        return name in {"execute", "executemany", "executescript"}
    return module in {"posix", "fcntl"} and name not in ONLY_LOOKING


def main() -> None:
    """Play the part that the command line names."""
    part, *rest = sys.argv[1:]
    if part == "put":
        put_for_ever(Path(rest[0]), int(rest[1]))
    elif part == "churn":
        churn_for_ever(Path(rest[0]), int(rest[1]))
    elif part == "collect":
        collect_for_ever(Path(rest[0]))
    else:
        stride, names = int(rest[0]), rest[1:] or DEEDS
        say(json.dumps({name: die_at_every_instant(name, stride) for name in names}))


if __name__ == "__main__":
    main()
