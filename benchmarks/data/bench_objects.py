"""What the object store costs beside `cp` and `sha256sum`: many small files, a large one, and a changed part of it.

Each figure is taken in a process of its own, in pairs that follow one another, since what a disk takes varies with
what was done to it before. Printed are the medians, and the median of the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from noria.core.clock import SystemClock
from noria.core.objects.checkouts import checkout
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.trees import put_tree

MIB = 1024 * 1024


def main() -> None:
    """Play the part that the command line names, or measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--smoke", action="store_true", help="measure little, once: shows only that the benchmark runs"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder if left out")
    parser.add_argument("--deed", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.deed:
        print(json.dumps(deed(*arguments.deed)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        if arguments.smoke:
            measure(Path(name), n_files=100, large_mib=16, repeats=1)
        else:
            measure(Path(name), n_files=10_000, large_mib=1024, repeats=arguments.repeats)


def measure(base: Path, *, n_files: int, large_mib: int, repeats: int) -> None:
    """Measure all cases and print a line for each."""
    print(f"{'case':44} {'Noria':>9} {'beside':>9} {'ratio':>6} {'memory':>8}   ({repeats} pairs)")
    small, large = base / "small", base / "large"
    make_small(small, n_files)
    make_large(large, large_mib)
    pairs(f"put {n_files} files of 10 KB | cp -a", base, repeats, "put", small, copy_tree)
    digest = deed("put", str(base / "kept"), str(small), "")["digest"]
    pairs(
        f"check out {n_files} files of 10 KB | cp -a",
        base,
        repeats,
        "checkout",
        small,
        copy_tree,
        str(digest),
    )
    pairs(f"put {large_mib} MiB | sha256sum and cp", base, repeats, "put", large, hash_and_copy)
    digest = deed("put", str(base / "kept"), str(large), "")["digest"]
    pairs(f"check out {large_mib} MiB | cp -a", base, repeats, "checkout", large, copy_tree, str(digest))
    stored_again(base, large)


def make_small(folder: Path, n_files: int) -> None:
    """Make files of random bytes, a hundred in a folder."""
    chance = random.Random(1)
    for n in range(n_files):
        place = folder / f"{n // 100:04}" / f"{n:06}.bin"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(chance.randbytes(10_240))


def make_large(path: Path, n_mib: int) -> None:
    """Make one file of random bytes."""
    chance = random.Random(2)
    with path.open("wb") as file:
        for _ in range(n_mib):
            file.write(chance.randbytes(MIB))


def pairs(
    name: str,
    base: Path,
    repeats: int,
    what: str,
    source: Path,
    beside: Callable[[Path, Path], None],
    digest: str = "",
) -> None:
    """Do a deed and what it is measured beside in turn, and print the medians."""
    ours, theirs, memory_mib = [], [], 0.0
    for n in range(repeats):
        # New places each time: removing one just before would slow down whoever makes files next.
        store = base / ("kept" if what == "checkout" else f"{what}-{source.name}-{n}")
        target = base / f"out-{what}-{source.name}-{n}"
        done = in_own_process(what, store, source if what == "put" else target, digest)
        ours.append(float(str(done["seconds"])))
        memory_mib = max(memory_mib, float(str(done["memory_mib"])))
        theirs.append(seconds(partial(beside, source, base / f"beside-{what}-{source.name}-{n}")))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print(
        f"{name:44} {statistics.median(ours):7.2f} s {statistics.median(theirs):7.2f} s {ratio:6.2f} "
        f"{memory_mib:6.0f} MiB",
        flush=True,
    )
    for place in base.iterdir():
        if place.name.startswith(("put-", "out-", "beside-")):
            shutil.rmtree(place) if place.is_dir() else place.unlink()
    os.sync()


def in_own_process(what: str, store: Path, place: Path, digest: str) -> dict[str, object]:
    """Do a deed in a process of its own, which tells its time and memory."""
    command = [sys.executable, __file__, "--deed", what, str(store), str(place), digest]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def deed(what: str, store_folder: str, place: str, digest: str) -> dict[str, object]:
    """Put or check out a tree."""
    store = LocalObjectStore(Path(store_folder), SystemClock())
    began = time.perf_counter()
    if what == "put":
        digest = put_tree(store, Path(place)).digest
    else:
        checkout(store, digest, Path(place))
    return {
        "seconds": time.perf_counter() - began,
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "digest": digest,
    }


def copy_tree(source: Path, target: Path) -> None:
    """Copy as a person would."""
    run(["cp", "-a", source, target])


def hash_and_copy(source: Path, target: Path) -> None:
    """Do what any store must do at least: read and hash every byte, and write it."""
    run(["sha256sum", source])
    run(["cp", source, target])


def run(command: Sequence[str | Path]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def seconds(do: Callable[[], None]) -> float:
    """Give the wall-clock time of a call."""
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def stored_again(base: Path, large: Path) -> None:
    """Print which share of a large file is stored again after a change."""
    data = large.read_bytes()
    middle, length = len(data) // 2, len(data) // 100
    other = random.Random(3).randbytes(max(length, MIB))
    changed = {
        "1 % changed in the middle": [data[:middle], other[:length], data[middle + length :]],
        "1 MiB inserted at the start": [other[:MIB], data],
    }
    store = LocalObjectStore(base / "kept", SystemClock())
    for name, parts in changed.items():
        before = stored_bytes(base / "kept")
        store.put(parts)
        share = (stored_bytes(base / "kept") - before) / len(data)
        print(f"stored again, {name:30} {100 * share:8.2f} %", flush=True)


def stored_bytes(store: Path) -> int:
    """Add up what a store takes on disk."""
    return sum(path.stat().st_size for path in store.rglob("*.pack"))


if __name__ == "__main__":
    main()
