"""How fast files are versioned: Noria and DVC in one run, turn by turn, and git-lfs where it is installed.

    python benchmarks/data/bench_trees.py --dvc .venv-peers/dvc/bin/dvc
    python benchmarks/data/bench_trees.py --linear --pairs 3      # 10,000 and 100,000 files
    python benchmarks/data/bench_trees.py --smoke

Each pair works on the same fresh files, made anew for each side so that neither reads what the other left in the
page cache; the order changes with each pair. Printed are the median of each step, the ratio of the medians with its
least and greatest value among the pairs, and the memory of the largest process. A step of Noria is a whole process,
as a person starts it. What is wanted is printed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20
FILE_BYTES = 10_000


@dataclass
class Sample:
    """What one process took."""

    wall_s: float
    cpu_s: float
    memory_mib: float


@dataclass
class Side:
    """One tool with its repository and its remote."""

    name: str
    root: Path
    commands: dict[str, list[str]]
    env: dict[str, str]
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        """Where the files are."""
        return self.root / "work"

    def step(self, name: str) -> None:
        """Run one command and keep what it took."""
        self.samples.setdefault(name, []).append(run(self.commands[name], self.work, self.env))


def run(command: list[str], cwd: Path, env: dict[str, str]) -> Sample:
    os.sync()
    with tempfile.TemporaryFile() as out:
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            out.seek(0)
            raise SystemExit(f"{' '.join(command)}: {out.read().decode()[-2000:]}")
    return Sample(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def quietly(*command: str, cwd: Path, env: dict[str, str]) -> None:
    subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True)


def noria_side(root: Path, target: str) -> Side:
    noria = str(Path(sys.executable).with_name("noria"))
    env = {**os.environ, "NORIA_WORKSPACE": str(root / "workspace"), "PYTHONDONTWRITEBYTECODE": ""}
    (root / "work").mkdir(parents=True)
    quietly(noria, "data", "list", cwd=root / "work", env=env)
    quietly(noria, "data", "remote", "add", "local", str(root / "remote"), cwd=root / "work", env=env)
    commands = {
        "add": [noria, "data", "add", target, "--name", "bench"],
        "push": [noria, "data", "push", "bench"],
        "status": [noria, "data", "status"],
        "checkout": [noria, "data", "checkout", "bench", target],
        "add again": [noria, "data", "add", target, "--name", "bench"],
        "push again": [noria, "data", "push", "bench"],
    }
    if "." in target:  # a single file is written into a folder
        commands["checkout"] = [noria, "data", "checkout", "bench", "."]
    return Side("noria", root, commands, env)


def dvc_side(root: Path, target: str, dvc: str) -> Side:
    who = {
        "GIT_AUTHOR_NAME": "b",
        "GIT_AUTHOR_EMAIL": "b@b",
        "GIT_COMMITTER_NAME": "b",
        "GIT_COMMITTER_EMAIL": "b@b",
    }
    env = {**os.environ, **who, "DVC_NO_ANALYTICS": "true", "DVC_SITE_CACHE_DIR": str(root / "site")}
    env["PATH"] = f"{Path(dvc).parent}{os.pathsep}{env.get('PATH', '')}"
    work = root / "work"
    work.mkdir(parents=True)
    (root / "remote").mkdir()
    quietly("git", "init", "-q", ".", cwd=work, env=env)
    quietly(dvc, "init", "-q", cwd=work, env=env)
    quietly(dvc, "remote", "add", "-d", "local", str(root / "remote"), cwd=work, env=env)
    commands = {
        "add": [dvc, "add", "-q", target],
        "push": [dvc, "push", "-q"],
        "status": [dvc, "status", "-q"],
        "checkout": [dvc, "checkout", "-q"],
        "add again": [dvc, "add", "-q", target],
        "push again": [dvc, "push", "-q"],
    }
    return Side("dvc", root, commands, env)


def lfs_side(root: Path, target: str) -> Side:
    who = {
        "GIT_AUTHOR_NAME": "b",
        "GIT_AUTHOR_EMAIL": "b@b",
        "GIT_COMMITTER_NAME": "b",
        "GIT_COMMITTER_EMAIL": "b@b",
    }
    env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null"}
    work = root / "work"
    work.mkdir(parents=True)
    quietly("git", "init", "-q", "--bare", str(root / "remote"), cwd=root, env=env)
    quietly("git", "init", "-q", "-b", "main", ".", cwd=work, env=env)
    for place in (work, root / "remote"):
        # Else it tidies up in the background, while the next step is measured.
        quietly("git", "config", "gc.auto", "0", cwd=place, env=env)
        quietly("git", "config", "receive.autogc", "false", cwd=place, env=env)
    quietly("git", "lfs", "install", "--local", cwd=work, env=env)
    quietly("git", "lfs", "track", f"{target}/**" if "." not in target else target, cwd=work, env=env)
    quietly("git", "remote", "add", "origin", f"file://{root / 'remote'}", cwd=work, env=env)
    commit = ["sh", "-c", f"git add .gitattributes {target} && git commit -qm x"]
    push = ["git", "push", "-q", "origin", "main"]
    commands = {
        "add": commit,
        "push": push,
        "status": ["git", "status", "--porcelain"],
        "checkout": ["git", "checkout", "-q", "--", target],
        "add again": commit,
        "push again": push,
    }
    return Side("git-lfs", root, commands, env)


def make_small(path: Path, n_files: int) -> None:
    for n in range(n_files):
        folder = path / f"d{n // 100:04}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{n:06}.bin").write_bytes(os.urandom(FILE_BYTES))


def make_big(path: Path, n_bytes: int) -> None:
    with path.open("wb") as file:
        for _ in range(n_bytes // MIB):
            file.write(os.urandom(MIB))


def change_middle(path: Path, n_bytes: int) -> None:
    with path.open("r+b") as file:
        file.seek(n_bytes // 2)
        for _ in range(max(1, n_bytes // 100 // MIB)):
            file.write(os.urandom(MIB))


def insert_at_start(path: Path) -> None:
    moved = path.with_name("moved")
    with path.open("rb") as old, moved.open("wb") as new:
        new.write(os.urandom(MIB))
        shutil.copyfileobj(old, new, MIB)
    moved.replace(path)


def size_of(folder: Path) -> int:
    """Bytes below a folder, a file of several names counted once."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        if path.is_file() and not path.is_symlink():
            found[status.st_ino] = status.st_size
    return sum(found.values())


def kept(side: Side) -> int:
    places = {
        "noria": side.root / "workspace" / "objects",
        "dvc": side.work / ".dvc" / "cache",
        "git-lfs": side.work / ".git" / "lfs",
    }
    return size_of(places[side.name])


def small_pair(sides: list[Side], n_files: int, turn: int) -> None:
    for side in turned(sides, turn):
        make_small(side.work / "data", n_files)
        time.sleep(0.2)  # what was written in the tick in which it is read is read again
        for step in ("add", "push", "status", "checkout"):
            if step == "checkout":
                # Moved, not removed: ext4 gives out no inode that was freed lately, and looks at each of them to
                # see so, which would take longer than to write the files.
                (side.work / "data").rename(side.root / "gone")
            side.step(step)
        copy = side.root / "copy"
        sample = run(["cp", "-a", str(side.work / "data"), str(copy)], side.root, side.env)
        side.samples.setdefault("cp -a", []).append(sample)
        assert size_of(side.work / "data") == n_files * FILE_BYTES


def big_pair(sides: list[Side], n_bytes: int, turn: int, stored: dict[str, list[str]]) -> None:
    for side in turned(sides, turn):
        path = side.work / "big.bin"
        make_big(path, n_bytes)
        time.sleep(0.2)
        side.step("add")
        side.step("push")
        plain = run(["sh", "-c", f"sha256sum {path} && cp {path} {side.root}/copy"], side.root, side.env)
        side.samples.setdefault("sha256 + cp", []).append(plain)
        (side.root / "copy").unlink()
        for what, change in (("1 % in the middle", change_middle), ("1 MiB at the start", insert_at_start)):
            before = kept(side)
            change(path, n_bytes) if change is change_middle else insert_at_start(path)
            time.sleep(0.2)
            side.step("add again")
            share = (kept(side) - before) / n_bytes
            stored.setdefault(f"{side.name}, {what}", []).append(f"{share:.1%}")
            side.step("push again")


def turned(sides: list[Side], turn: int) -> list[Side]:
    return sides if turn % 2 == 0 else sides[::-1]


def report(
    title: str, rounds: list[list[Side]], sums: dict[str, tuple[str, ...]], wanted: dict[str, str]
) -> None:
    print(f"\n{title}")
    names = [side.name for side in rounds[0]]
    steps = {step: (step,) for step in rounds[0][0].samples} | sums
    for step, parts in steps.items():
        walls = {
            name: [
                sum(side.samples[part][-1].wall_s for part in parts)
                for sides in rounds
                for side in sides
                if side.name == name
            ]
            for name in names
        }
        cpus = {
            name: [
                sum(side.samples[part][-1].cpu_s for part in parts)
                for sides in rounds
                for side in sides
                if side.name == name
            ]
            for name in names
        }
        memory = max(
            side.samples[part][-1].memory_mib
            for part in parts
            for sides in rounds
            for side in sides
            if side.name == "noria"
        )
        line = f"  {step:14}" + "".join(
            f"  {name} {statistics.median(values):7.3f} s" for name, values in walls.items()
        )
        line += f"  (noria: {statistics.median(cpus['noria']):.2f} s of CPU, {memory:.0f} MiB)"
        for other in names[1:]:
            ratios = [theirs / ours for theirs, ours in zip(walls[other], walls["noria"], strict=True)]
            of_cpu = statistics.median(cpus[other]) / statistics.median(cpus["noria"])
            line += (
                f"  {other}/noria {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}),"
                f" of CPU {of_cpu:.1f}"
            )
        print(line + (f"  wanted {wanted[step]}" if step in wanted else ""))
    print(
        json.dumps(
            {
                "title": title,
                "steps": {
                    step: {
                        name: [
                            round(sum(side.samples[p][-1].wall_s for p in parts), 4)
                            for sides in rounds
                            for side in sides
                            if side.name == name
                        ]
                        for name in names
                    }
                    for step, parts in steps.items()
                },
            }
        )
    )


def measure_growth(scratch: Path, n_files: int, turns: int) -> None:
    """Print what ten times the files cost, turn by turn, beside ten times what they cost, and the memory."""
    counts = (n_files, 10 * n_files)
    found: dict[int, list[Side]] = {n: [] for n in counts}
    for turn in range(turns):
        for n in counts if turn % 2 == 0 else counts[::-1]:
            root = scratch / f"{n}-{turn}"
            sides = sides_of(root, "data", None, lfs=False)
            small_pair(sides, n, turn)
            found[n] += sides
            shutil.rmtree(root)
    few, many = found.values()
    print(
        f"\n{counts[0]} and {counts[1]} files of 10 kB; linear is 10 times, less what each process takes by itself"
    )
    for step in few[0].samples:
        pairs = [(one.samples[step][0], ten.samples[step][0]) for one, ten in zip(few, many, strict=True)]
        walls = [ten.wall_s / one.wall_s for one, ten in pairs]
        cpus = [ten.cpu_s / one.cpu_s for one, ten in pairs]
        print(
            f"  {step:10}"
            f"  {statistics.median(one.wall_s for one, _ in pairs):8.3f} s"
            f"  {statistics.median(ten.wall_s for _, ten in pairs):8.3f} s"
            f"  {statistics.median(walls):5.1f} times ({min(walls):.1f} to {max(walls):.1f}),"
            f" of CPU {statistics.median(cpus):5.1f}"
            f"  at most {max(one.memory_mib for one, _ in pairs):4.0f}"
            f" and {max(ten.memory_mib for _, ten in pairs):4.0f} MiB  wanted < 500"
        )


def sides_of(root: Path, target: str, dvc: str | None, *, lfs: bool) -> list[Side]:
    sides = [noria_side(root / "noria", target)]
    if dvc:
        sides.append(dvc_side(root / "dvc", target, dvc))
    if lfs:
        (root / "lfs").mkdir(parents=True)
        sides.append(lfs_side(root / "lfs", target))
    return sides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dvc", default=shutil.which("dvc"), help="the program of DVC")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--big-mib", type=int, default=1024)
    parser.add_argument("--only", choices=["small", "big"])
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder when left out")
    parser.add_argument("--quick", action="store_true", help="one pair, small files only")
    parser.add_argument(
        "--linear", action="store_true", help="Noria alone, with --files files and ten times as many"
    )
    parser.add_argument("--smoke", action="store_true", help="once, with little, without other tools")
    given = parser.parse_args()
    if given.smoke:
        given.pairs, given.files, given.big_mib, given.dvc = 1, 50, 4, None
    if given.quick:
        given.pairs, given.only = 1, "small"
    dvc = str(Path(given.dvc).absolute()) if given.dvc else None
    lfs = shutil.which("git-lfs") is not None and not given.smoke
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        if given.linear:
            measure_growth(Path(scratch), given.files, given.pairs)
            return
        if given.only != "big":
            rounds = []
            for turn in range(given.pairs):
                root = Path(scratch, f"small{turn}")
                sides = sides_of(root, "data", dvc, lfs=lfs)
                small_pair(sides, given.files, turn)
                rounds.append(sides)
            wanted = {"add + push": ">= 10", "checkout": ">= 5, and at most 1.5 of cp -a", "status": ">= 5"}
            report(f"{given.files} files of 10 kB", rounds, {"add + push": ("add", "push")}, wanted)
        if given.only != "small":
            rounds = []
            stored: dict[str, list[str]] = {}
            for turn in range(given.pairs):
                root = Path(scratch, f"big{turn}")
                sides = sides_of(root, "big.bin", dvc, lfs=lfs)
                big_pair(sides, given.big_mib * MIB, turn, stored)
                rounds.append(sides)
                shutil.rmtree(root)
            wanted = {"add + push": ">= 2, and at most 2.5 of sha256 + cp"}
            report(f"one file of {given.big_mib} MiB", rounds, {"add + push": ("add", "push")}, wanted)
            for what, shares in stored.items():
                print(f"  stored again: {what}: {', '.join(shares)}  wanted of noria at most 2 %")


if __name__ == "__main__":
    main()
