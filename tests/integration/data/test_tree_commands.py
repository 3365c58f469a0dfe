"""`noria data` for files, as a person types it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from noria.cli.main import main
from noria.core.clock import SystemClock
from noria.core.config import load_settings
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.upkeep import collect_garbage
from noria.core.workspace import open_context
from noria.data.trees.adding import store_path
from noria.data.trees.stat_index import StatIndex
from support.other_side import other_side, say


@dataclass(frozen=True, slots=True)
class Done:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        """The JSON that it wrote."""
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def noria(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give what runs `noria data` in a project of its own."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "noria.toml").write_text('[workspace]\nurl = "w"\n')
    monkeypatch.chdir(project)

    def run(*arguments: str, group: str = "data") -> Done:
        code = main([group, *arguments])
        written = capsys.readouterr()
        return Done(code, written.out, written.err)

    return run


def write(**files: str) -> None:
    """Write files below the working folder; `__` stands for `/`."""
    for name, content in files.items():
        path = Path(name.replace("__", "/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def contents(folder: str) -> dict[str, str]:
    """Read all files below a folder."""
    root = Path(folder)
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@contextlib.contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Give up the rights of root for a while: it may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_is_followed_through_its_versions(noria: Run) -> None:
    """Added, changed, told, compared, brought back: without git no pointer is written."""
    write(data__a="a", data__sub__b="b", data__c="c")
    added = noria("add", "data", "-m", "first")
    clean = noria("status", "--check")
    write(data__a="A", data__new="n")
    Path("data/c").unlink()
    changed = noria("status", "--json").answer
    checked = noria("status", "--check")
    again = noria("add", "data", "--json").answer
    compared = noria("diff", "data@1", "data@2").out
    before = noria("diff", "data@2", "--json").answer
    back = noria("checkout", "data@1", "data")

    assert (added.code, clean.code, checked.code, back.code) == (0, 0, 1, 0)
    assert "data@1" in added.out
    assert clean.out == "data: clean, data@1\n"
    assert changed[0]["changes"] == {"added": ["new"], "changed": ["a"], "removed": ["c"]}
    assert again["version"] == 2
    assert compared == "  + new\n  ~ a\n  - c\n"
    assert before["removed"] == ["c"]
    assert contents("data") == {"a": "a", "c": "c", "sub/b": "b"}
    assert not Path("data.noria").exists()


def test_a_second_add_reads_only_what_changed(noria: Run) -> None:
    """An unreadable file that nobody touched is no hindrance; a new one is named."""
    write(data__a="a", data__b="b")
    os.utime("data/a", (1, 1))
    noria("add", "data")
    write(data__new="n")
    Path("data/new").chmod(0)
    Path().chmod(0o777)
    for path in [Path("w"), *Path("w").rglob("*")]:
        os.chown(path, 65534, -1)
    temporary = Path(tempfile.gettempdir())
    for above in Path.cwd().parents:
        if above == temporary:
            break
        above.chmod(0o755)
    with as_ordinary_user():
        refused = noria("add", "data")

    assert refused.code in {1, 2}
    assert "data/new" in refused.err
    assert "Permission denied" in refused.err


def test_git_carries_a_pointer_and_checkout_follows_it(noria: Run) -> None:
    """Back and forth with git, for a folder and a single file; what nobody stored is not lost."""
    git("init", "-q")
    write(data__a="one")
    write(**{"table.csv": "x\n1\n"})
    noria("add", "data")
    noria("add", "table.csv")
    git("add", "data.noria", "table.csv.noria", ".gitignore")
    git("commit", "-qm", "first")
    write(data__a="two", data__b="b")
    write(**{"table.csv": "x\n2\n"})
    noria("add", "data")
    noria("add", "table.csv")
    git("commit", "-qam", "second")
    clean = git("status", "--porcelain")
    git("checkout", "-q", "HEAD~1")
    behind = noria("status").out
    followed = noria("checkout")
    first = (contents("data"), Path("table.csv").read_text())
    git("checkout", "-q", "-")
    write(data__a="mine")
    refused = noria("checkout")
    kept = contents("data")
    forced = noria("checkout", "--overwrite")

    assert clean == "?? noria.toml\n?? w/\n"
    assert "behind" in behind
    assert "its pointer names data@1" in behind
    assert first == ({"a": "one"}, "x\n1\n")
    assert (followed.code, refused.code, forced.code) == (0, 1, 0)
    assert "`a` in `data` changed" in refused.err
    assert kept == {"a": "mine"}
    assert (contents("data"), Path("table.csv").read_text()) == ({"a": "two", "b": "b"}, "x\n2\n")


def test_a_pointer_of_elsewhere_is_not_followed_to_other_bytes(noria: Run) -> None:
    """Its digest is another than that of the version of this number."""
    write(data__a="one")
    noria("add", "data", "--pointer")
    pointer = Path("data.noria")
    digest = next(line for line in pointer.read_text().splitlines() if line.startswith("digest"))
    pointer.write_text(pointer.read_text().replace(digest, f'digest = "blake3:{"0" * 64}"'))
    refused = noria("checkout")
    pointer.write_text("version = 3")
    broken = noria("checkout")

    assert refused.code == 1
    assert "another `data@1`" in refused.err
    assert broken.code == 2
    assert "not a pointer" in broken.err


def test_tags_and_removal_from_the_command_line(noria: Run) -> None:
    """A version is named by a word; what is removed is freed by `noria objects gc`."""
    for n in range(2):
        write(data__a=str(n))
        noria("add", "data")
    tagged = noria("tag", "data@1", "gold", "--json").answer
    out = noria("checkout", "data@gold", "out")
    kept = noria("rm", "data@1", "--yes")
    noria("tag", "data", "gold", "--delete")
    gone = noria("rm", "data@1", "--yes")
    unknown = noria("checkout", "data@gold", "x")
    whole = noria("rm", "data", "--yes")

    assert (tagged["tag"], tagged["version"]) == ("gold", 1)
    assert out.code == 0
    assert contents("out") == {"a": "0"}
    assert (kept.code, gone.code, unknown.code, whole.code) == (1, 0, 1, 0)
    assert "has the tag `gold`" in kept.err
    assert noria("list", "--json").answer["items"] == []


def test_archives_go_out_and_come_in(noria: Run) -> None:
    """By name of the archive, with its hash when that is given."""
    write(data__a="a", data__sub__b="b")
    noria("add", "data")
    noria("export", "data", "data.tar.gz")
    digest = hashlib.sha256(Path("data.tar.gz").read_bytes()).hexdigest()
    wrong = noria("import", "data.tar.gz", "--sha256", "0" * 64)
    right = noria("import", "data.tar.gz", "--name", "copy", "--sha256", digest, "--json")
    first = noria("log", "data", "--json").answer["items"][0]
    kept = noria("import", "data.tar.gz", "--no-unpack", "--name", "packed", "--json").answer
    folder = noria("import", "data", "--name", "folder", "--json").answer

    assert wrong.code == 2
    assert "SHA-256" in wrong.err
    assert right.answer["digest"] == first["digest"] == folder["digest"]
    assert (kept["n_files"], kept["message"]) == (1, "from data.tar.gz")
    assert noria("status", "--json").answer[0]["path"] == "data"


def test_an_address_is_fetched_and_its_secrets_are_not_kept(noria: Run, tmp_path: Path) -> None:
    """Neither in the log nor in an error."""
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(__file__, "inside.py")
    with other_side(say(200, (tmp_path / "x.tar").read_bytes())) as server:
        url = f"http://ana:hunter2@127.0.0.1:{server.port}/x.tar?token=s3cret"
        added = noria("import", url, "--json")
    with other_side(say(404, b"")) as server:
        missing = noria("import", f"http://ana:hunter2@127.0.0.1:{server.port}/x.tar?token=s3cret")
    away = noria("import", "http://ana:hunter2@127.0.0.1:1/x.tar")
    strange = noria("import", "ftp://ana:hunter2@example.com/x")
    with other_side(say(302, Location="http://169.254.169.254/x.tar?token=s3cret")) as sending:
        sent_on = noria("import", f"http://ana:hunter2@127.0.0.1:{sending.port}/x.tar")

    assert (added.answer["name"], added.answer["n_files"]) == ("x", 1)
    assert server.requests[0][2]["authorization"] == "Basic YW5hOmh1bnRlcjI="
    assert missing.code == away.code == sent_on.code == 1
    assert strange.code == 2
    assert 'allow = ["169.254.169.254"]' in sent_on.err
    for done in (added, missing, away, strange, sent_on):
        assert "hunter2" not in done.out + done.err
        assert "s3cret" not in done.out + done.err


@pytest.mark.parametrize("kind", ["link", "loop", "pipe", "bytes", "nothing", "name"])
def test_what_cannot_be_added_is_named(noria: Run, kind: str) -> None:
    """And nothing is added."""
    write(data__a="a")
    if kind == "link":
        Path("data/x").symlink_to("a")
    elif kind == "loop":
        Path("data/x").symlink_to("../data")
    elif kind == "pipe":
        os.mkfifo("data/x")
    elif kind == "bytes":
        Path(os.fsdecode(b"data/\xff")).write_text("x")
    arguments = {"nothing": ["nowhere"], "name": ["data", "--name", "a b"]}.get(kind, ["data"])
    refused = noria("add", *arguments)

    assert refused.code in (1, 2)
    assert {"link": "data/x", "loop": "data/x", "pipe": "a pipe", "bytes": "UTF-8"}.get(
        kind, "`"
    ) in refused.err
    assert noria("list", "--json").answer["items"] == []


def test_sparse_empty_and_differently_spelt_files_come_back(noria: Run) -> None:
    """Byte for byte; names that differ by their case alone are two files where the system has both."""
    write(data__empty="", data__Name="upper", data__name="lower")
    Path("data/none").mkdir()
    with Path("data/sparse").open("wb") as file:
        file.truncate(3_000_000)
    noria("add", "data")
    done = noria("checkout", "data", "out")

    assert done.code == 0
    assert contents("out") == contents("data")
    assert Path("out/none").is_dir()
    assert Path("out/sparse").stat().st_size == 3_000_000


def test_status_names_what_is_missing_or_unknown(noria: Run) -> None:
    """A path that nobody added, a folder that is gone, a pointer whose data was never here."""
    write(data__a="a", other__a="a")
    noria("add", "data", "--pointer")
    unknown = noria("status", "other")
    Path("data").rename("away")
    missing = noria("status")
    brought = noria("checkout")
    Path("w/stat.db").unlink()
    never = noria("status")
    compared = noria("checkout")

    assert unknown.code == 1
    assert "noria data add other" in unknown.err
    assert missing.out.startswith("data: missing, data@1")
    assert never.out.startswith("data: unknown")
    assert brought.code == compared.code == 0
    assert noria("status").out == "data: clean, data@1\n"


def test_status_imports_no_library_that_it_does_not_need(noria: Run) -> None:
    """It would take longer to import them than to answer."""
    write(data__a="a")
    noria("add", "data")
    program = (
        "import sys; from noria.cli.main import main; main(['data', 'status']);"
        "print(sorted({'sqlalchemy', 'httpx', 'polars', 'numpy', 'pydantic', 'rich', 'deltalake'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "data: clean, data@1\n[]\n"


def test_files_that_were_let_go_are_read_and_stored_again(noria: Run) -> None:
    """The index knows them unchanged, but their version was removed and its space freed."""
    write(data__a="a", data__b="b")
    noria("add", "data")
    noria("rm", "data", "--yes")
    settings = load_settings()
    context = open_context(settings, SystemClock())
    try:
        done = collect_garbage(context.database, context.objects, context.clock, grace=timedelta(0))
    finally:
        context.database.dispose()
    added = noria("add", "data", "--json")
    out = noria("checkout", "data", "out")

    assert done.n_removed == 3
    assert added.answer["version"] == 2
    assert out.code == 0
    assert contents("out") == {"a": "a", "b": "b"}


def test_what_no_version_has_is_not_lost_to_a_checkout(noria: Run) -> None:
    """Files are remembered before their version is added; until then a checkout leaves them alone."""
    write(data__a="first")
    noria("add", "data")
    write(data__a="second")
    index = StatIndex.of(load_settings())
    store_path(LocalObjectStore(Path("elsewhere"), SystemClock()), Path("data"), index).remember(index)
    refused = noria("checkout", "data@1", "data")

    assert refused.code == 1
    assert contents("data") == {"a": "second"}


def git(*arguments: str) -> str:
    """Run git as somebody."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, *arguments], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_an_edit_of_what_was_checked_out_never_reaches_the_store(noria: Run) -> None:
    """In place, small files out of packs and large ones out of chunks; a pushed copy keeps its bytes too."""
    write(data__small="small", data__large="large" * 500_000)
    noria("add", "data")
    noria("remote", "add", "safe", "remote")
    noria("push", "data")
    noria("checkout", "data", "out")
    for path in (Path("out/small"), Path("out/large"), Path("data/large")):
        with path.open("r+") as file:
            file.write("edited")
        path.chmod(0o600)

    assert main(["objects", "verify"]) == 0
    assert noria("checkout", "data", "again").code == 0
    assert contents("again") == {"small": "small", "large": "large" * 500_000}
    assert not [path for path in Path("remote").rglob("*.pack") if path.stat().st_mode & 0o222]
