"""Versions go to folders and buckets and come back, and a remote that lies is found out."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import pty
import secrets
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from noria.cli.main import main
from noria.core.clock import SystemClock
from noria.core.config import Settings, load_settings
from noria.core.errors import Conflict, Corrupt, Invalid, NotFound, Unavailable
from noria.core.objects.chunks import LARGE_BYTES, cut
from noria.core.objects.drafts import scratch_folder
from noria.core.objects.local import LocalObjectStore
from noria.core.workspace import Workspace, open_workspace
from noria.data.client import dataset
from noria.data.entities import TaggedVersion, VersionsDiverged
from noria.data.remotes.entities import RemoteCorrupt, RemoteLine, RemoteUnknown, RemoteVersion
from noria.data.remotes.known import add_remote, find_remote, known_remotes, remove_remote
from noria.data.remotes.places import Place, open_place
from noria.data.remotes.pulling import Puller
from noria.data.remotes.pushing import AT_ONCE, Pusher, read_version
from noria.data.remotes.transfers import pull, push
from noria.data.service import Datasets
from noria.data.tags import DatasetTags
from noria.data.version_reads import read_tags, read_versions
from support.buckets import S3Server, running_moto

LARGE = 3_000_000


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with running_moto() as server:
        yield server


@pytest.fixture(params=["folder", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteLine:
    """Give an empty remote of each kind."""
    if request.param == "folder":
        return RemoteLine(name="r", url=str(tmp_path / "remote"))
    server: S3Server = request.getfixturevalue("s3")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return RemoteLine(name="r", url=f"s3://{server.bucket}/{secrets.token_hex(8)}/deep")


@pytest.fixture
def folder(tmp_path: Path) -> RemoteLine:
    return RemoteLine(name="r", url=str(tmp_path / "remote"))


class Side:
    """A workspace, and files beside it."""

    def __init__(self, root: Path) -> None:
        self.settings: Settings = load_settings(workspace=str(root / "w"), environ={}, folder=root)
        self.files = root / "files"
        self.workspace: Workspace = open_workspace(self.settings, send_left=False)

    def add(self, name: str = "data", **files: bytes) -> str:
        """Write files and add them."""
        self.files.mkdir(exist_ok=True)
        for path, content in files.items():
            (self.files / path).write_bytes(content)
        return dataset(name, workspace=self.workspace).add(self.files, message="m").ref

    def read(self, ref: str, target: Path) -> dict[str, bytes]:
        dataset(ref, workspace=self.workspace).checkout(target, overwrite=True)
        return {path.name: path.read_bytes() for path in target.iterdir()}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Side]:
    yield from side(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Side]:
    yield from side(tmp_path / "there")


def side(root: Path) -> Iterator[Side]:
    root.mkdir()
    made = Side(root)
    yield made
    made.workspace.close()


def test_nothing_else_goes_along(here: Side, folder: RemoteLine) -> None:
    """What lies in the same pack as a file of the version, and is not the version's, stays here."""
    secret, shared = os.urandom(100_000), os.urandom(300_000)
    here.add(secret=secret, shared=shared)
    (here.files / "secret").unlink()
    here.add(more=os.urandom(1000))
    push(here.settings, folder, ["data@2"])
    packs = list(Path(folder.url).rglob("*.pack"))

    assert any(shared[:1000] in pack.read_bytes() for pack in packs)
    assert not any(secret[:1000] in pack.read_bytes() for pack in packs)


def test_what_was_pushed_is_pulled_with_its_numbers(
    here: Side, there: Side, remote: RemoteLine, tmp_path: Path
) -> None:
    """Bytes, numbers, authors and times; nothing is sent or brought twice."""
    big = os.urandom(LARGE)
    here.add(a=b"a", b=b"bb", big=big)
    here.add(c=b"c")
    sent = push(here.settings, remote, ["data@2"])
    rest = push(here.settings, remote, [])
    again = push(here.settings, remote, [])
    only = pull(there.workspace, remote, ["data"])
    every = pull(there.workspace, remote, [])
    known = there.workspace.service(Datasets).resolve("default", "data@2")
    first = here.workspace.service(Datasets).resolve("default", "data@2")

    assert (sent.refs, rest.refs, again.refs) == (["data@2"], ["data@1"], [])
    assert rest.sent_bytes < LARGE
    assert (only.refs, every.refs) == (["data@2"], ["data@1", "data@2"])
    assert every.brought_bytes < LARGE
    assert there.read("data@2", tmp_path / "out") == {"a": b"a", "b": b"bb", "c": b"c", "big": big}
    assert (known.digest, known.author, known.created_at, known.n_files, known.size_bytes) == (
        first.digest,
        first.author,
        first.created_at,
        4,
        LARGE + 4,
    )
    assert there.add(x=b"new") == "data@3"
    assert list(there.workspace.backend.context.objects.verify()) == []  # type: ignore[attr-defined]


def test_a_small_change_of_a_large_file_is_sent_as_a_small_one(here: Side, remote: RemoteLine) -> None:
    """Of its chunks, only those that are new."""
    big = bytearray(os.urandom(20_000_000))
    here.add(big=bytes(big))
    push(here.settings, remote, [])
    big[10_000_000:10_000_100] = os.urandom(100)
    here.add(big=bytes(big))
    sent = push(here.settings, remote, [])

    assert 0 < sent.sent_bytes < 1_500_000


def test_other_content_under_the_same_number_is_refused(here: Side, there: Side, folder: RemoteLine) -> None:
    """On the way there and on the way back; under another name it comes."""
    here.add(a=b"here")
    there.add(a=b"there")
    push(here.settings, folder, [])

    with pytest.raises(VersionsDiverged, match="data@1"):
        push(there.settings, folder, [])
    with pytest.raises(VersionsDiverged, match="data@1"):
        pull(there.workspace, folder, [])
    assert pull(there.workspace, folder, ["data"], as_name="theirs").refs == ["theirs@1"]


def test_what_is_not_there_is_not_found(here: Side, folder: RemoteLine) -> None:
    """A version, a dataset, a tag."""
    here.add(a=b"a")
    push(here.settings, folder, [])

    for ref in ("data@7", "other"):
        with pytest.raises(NotFound, match=ref.partition("@")[0]):
            pull(here.workspace, folder, [ref])
    with pytest.raises(NotFound, match="no tag `gold`"):
        pull(here.workspace, folder, ["data@gold"])
    with pytest.raises(Invalid, match="cannot be a tag"):
        pull(here.workspace, folder, ["data@2026-01-31"])
    with pytest.raises(NotFound):
        push(here.settings, folder, ["data@7"])
    assert pull(here.workspace, RemoteLine(name="e", url=folder.url + "-empty"), []).refs == []


def test_a_push_by_tag_or_time_asks_the_service(here: Side, folder: RemoteLine) -> None:
    """Which the short way cannot tell."""
    here.add(a=b"a")
    here.workspace.service(DatasetTags).set("default", "data", "gold", TaggedVersion(version=1))

    assert push(here.settings, folder, ["data@gold"]).refs == ["data@1"]


def test_tags_go_with_their_versions(here: Side, there: Side, remote: RemoteLine) -> None:
    """A tag is sent and brought with its version, a later one replaces it, an earlier one does not; damage is named."""
    here.add(a=b"a")
    here.add(b=b"b")
    tags, theirs = here.workspace.service(DatasetTags), there.workspace.service(DatasetTags)
    tags.set("default", "data", "gold", TaggedVersion(version=1))
    tags.set("default", "data", "next", TaggedVersion(version=2))
    assert read_tags(here.settings) == [("data", each) for each in tags.list("default", "data").items]

    assert push(here.settings, remote, ["data@1"]).tags == ["data@gold"]
    assert push(here.settings, remote, []).tags == ["data@next"]
    assert push(here.settings, remote, []).tags == []
    tags.set("default", "data", "brief", TaggedVersion(version=1))
    assert push(here.settings, remote, []).tags == ["data@brief"]
    tags.delete("default", "data", "brief")
    assert push(here.settings, remote, ["data@2"]).pruned == []
    assert push(here.settings, remote, ["data@2"], prune_tags=True).pruned == ["data@brief"]
    assert push(here.settings, remote, [], prune_tags=True).pruned == []
    pulled = pull(there.workspace, remote, ["data@gold"])
    assert (pulled.refs, pulled.tags) == (["data@1"], ["data@gold"])
    assert pull(there.workspace, remote, [], as_name="theirs").tags == ["theirs@gold", "theirs@next"]

    pull(there.workspace, remote, ["data@2"])
    theirs.set("default", "data", "gold", TaggedVersion(version=2))
    assert pull(there.workspace, remote, []).tags == []
    assert push(there.settings, remote, ["data@2"]).tags == ["data@gold"]
    assert pull(here.workspace, remote, []).tags == ["data@gold"]
    assert {each.tag: each.version for each in tags.list("default", "data").items} == {"gold": 2, "next": 2}

    place = open_place(remote.url)
    place.put("datasets/default/data/tags/odd name!.json", b"{}")
    assert pull(here.workspace, remote, []).tags == []
    place.put("datasets/default/data/tags/gold.json", b'{"format":"noria.tag/1"}')
    with pytest.raises(RemoteCorrupt, match="gold"):
        pull(here.workspace, remote, ["data@2"])


def test_the_short_way_reads_what_the_service_gives(here: Side) -> None:
    """Every field of every version."""
    here.add(a=b"a")
    here.add(b=b"b")
    dataset("arrays", workspace=here.workspace).add({"x": np.arange(5)})
    service = here.workspace.service(Datasets)
    refs = ["arrays@1", "data@1", "data@2"]
    asked = [service.resolve("default", ref) for ref in refs]

    assert read_versions(here.settings, []) == asked
    assert read_versions(here.settings, ["data", "data@latest", "data@1"]) == [asked[2], asked[2], asked[1]]
    assert read_versions(here.settings, ["data@gold"]) is None
    assert read_versions(here.settings, ["nothing"]) is None


@pytest.mark.parametrize("lie", ["chunk", "cut", "other", "gone"])
def test_a_pack_that_is_not_what_it_says_is_found_out(
    here: Side, there: Side, folder: RemoteLine, tmp_path: Path, lie: str
) -> None:
    """Its name and the remote are told; nothing of it is taken, and mended there it comes."""
    here.add(a=os.urandom(5_000), b=os.urandom(5_000))
    push(here.settings, folder, [])
    path = max((tmp_path / "remote" / "packs").rglob("*.pack"), key=lambda each: each.stat().st_size)
    whole = path.read_bytes()
    path.unlink()  # not the bytes that the workspace shares
    if lie == "chunk":
        path.write_bytes(whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:])
    elif lie == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif lie == "other":
        path.write_bytes(min(path.parent.parent.rglob("*.pack"), key=str).read_bytes())

    with pytest.raises(RemoteCorrupt, match=path.stem) as told:
        pull(there.workspace, folder, [])
    assert folder.url in told.value.message
    assert there.workspace.service(Datasets).list("default").items == []
    assert list(there.workspace.backend.context.objects.verify()) == []  # type: ignore[attr-defined]
    path.write_bytes(whole)
    assert pull(there.workspace, folder, []).refs == ["data@1"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("digest", "blake3:" + "0" * 64),
        ("digest", "../../etc/passwd"),
        ("packs", ["../../../etc/passwd"]),
        ("packs", []),
        ("name", "../x"),
        ("version", 7),
        ("format", "noria.version/9"),
    ],
)
def test_a_version_that_says_what_cannot_be_is_refused(
    here: Side, there: Side, folder: RemoteLine, tmp_path: Path, field: str, value: object
) -> None:
    """No path is made of what it says, and nothing is added."""
    here.add(a=b"a")
    push(here.settings, folder, [])
    path = tmp_path / "remote" / "datasets" / "default" / "data" / "1.json"
    said = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**said, field: value}))

    with pytest.raises(RemoteCorrupt):
        pull(there.workspace, folder, [])
    assert there.workspace.service(Datasets).list("default").items == []


def test_a_push_that_breaks_off_is_gone_on_with(here: Side, folder: RemoteLine, tmp_path: Path) -> None:
    """Packs that the remote took stay, and no version is told before all of its packs are there."""
    here.add(a=os.urandom(5_000))
    push(here.settings, folder, [])
    record = tmp_path / "remote" / "datasets" / "default" / "data" / "1.json"
    record.unlink()
    again = push(here.settings, folder, [])

    assert (again.refs, again.n_packs, again.sent_bytes) == (["data@1"], 0, 0)


def test_an_object_of_chunks_that_others_have_is_pulled(
    here: Side, there: Side, remote: RemoteLine, tmp_path: Path
) -> None:
    """The beginning of a large file, all of whose chunks the remote has: what it is made of is sent all the same."""
    big = os.urandom(LARGE)
    ends = itertools.accumulate(len(chunk) for part in cut([big]) for chunk in part)
    beginning = big[: next(end for end in ends if end > 1.5 * LARGE_BYTES)]
    here.add(big=big)
    push(here.settings, remote, [])
    here.add(big=beginning)
    push(here.settings, remote, [])
    pull(there.workspace, remote, ["data@2"])

    assert there.read("data@2", tmp_path / "out") == {"big": beginning}


class Crowded:
    """A place that makes transfers wait until so many are under way at once, and counts them."""

    def __init__(self, inner: Place, n_awaited: int) -> None:
        self.most = 0
        self._inner = inner
        self._n = 0
        self._lock = threading.Lock()
        self._left = n_awaited
        self._barrier = threading.Barrier(n_awaited)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def put_file(self, key: str, path: Path) -> None:
        with self._under_way():
            self._inner.put_file(key, path)

    def fetch(self, key: str, target: Path) -> bool:
        with self._under_way():
            return self._inner.fetch(key, target)

    @contextlib.contextmanager
    def _under_way(self) -> Iterator[None]:
        with self._lock:
            self._n += 1
            self.most = max(self.most, self._n)
            self._left -= 1
            is_awaited = self._left >= 0
        try:
            if is_awaited:
                self._barrier.wait(60)  # raises where they go one after the other
            yield
        finally:
            with self._lock:
                self._n -= 1


def test_many_packs_are_in_flight_at_once_and_their_bytes_are_told(
    here: Side, there: Side, remote: RemoteLine, tmp_path: Path
) -> None:
    """Of a version in more packs than go at once, as many as do; each is told as it is done, there and back."""
    for n in range(AT_ONCE + 2):
        here.add("data", **{f"f{n}": os.urandom(2_000)})
    version = here.workspace.service(Datasets).resolve("default", "data")
    root = here.settings.folder / "objects"
    objects = LocalObjectStore(root, SystemClock())
    told: list[tuple[int, int]] = []
    out: Any = Crowded(open_place(remote.url), AT_ONCE)
    scratch = functools.partial(scratch_folder, root)
    pusher = Pusher(out, objects, root, SystemClock(), scratch=scratch)
    pushed = pusher.push([version], progress=lambda n, n_bytes: told.append((n, n_bytes)))
    sent, told = told, []
    back: Any = Crowded(open_place(remote.url), AT_ONCE)
    brought = Puller(back, there.settings.folder / "objects", SystemClock()).bring(
        remote_of(remote, version.version), progress=lambda n, n_bytes: told.append((n, n_bytes))
    )

    assert (out.most, back.most) == (AT_ONCE, AT_ONCE)
    assert pushed.n_packs == brought.n_packs == len(sent) == len(told) > AT_ONCE
    assert sum(n for n, _ in sent) == sum(n for n, _ in told) == pushed.n_packs
    assert sum(n for _, n in sent) == pushed.sent_bytes == sum(n for _, n in told) == brought.brought_bytes
    assert sorted((root / "tmp").iterdir()) == []


def remote_of(remote: RemoteLine, number: int) -> RemoteVersion:
    """Read what a remote says of a version."""
    found = read_version(open_place(remote.url), "default", "data", number)
    assert found is not None
    return found


def test_a_terminal_shows_how_far_a_push_and_a_pull_are(
    here: Side, there: Side, folder: RemoteLine, noria_command: tuple[str, ...]
) -> None:
    """A bar with bytes, on stderr alone, and nothing of it where nobody watches."""
    here.add(big=os.urandom(LARGE))
    for side_ in (here, there):
        add_remote(side_.settings, "r", folder.url)

    def on_terminal(side_: Side, deed: str) -> str:
        ours, theirs = pty.openpty()
        command = [*noria_command, "data", deed, "data", "-w", str(side_.settings.folder)]
        environment = {**os.environ, "TERM": "xterm-256color"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(ours, 4096):
                shown += part
        os.close(ours)
        said, _ = process.communicate(timeout=120)
        assert (process.returncode, said) == (0, b""), shown
        return shown.decode()

    sending, bringing = on_terminal(here, "push"), on_terminal(there, "pull")

    assert "Sending" in sending
    assert "3.0/? MB" in sending
    assert "Bringing" in bringing
    assert "3.0/? MB" in bringing


def test_a_store_is_repaired_from_a_remote(
    here: Side, remote: RemoteLine, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the remote's name or address: damaged packs, and what is missing altogether."""
    small, big = os.urandom(5_000), os.urandom(LARGE)
    here.add(a=small, big=big)
    push(here.settings, remote, [])
    add_remote(here.settings, "safe", remote.url)
    folder = str(here.settings.folder)
    for damage in ("safe", remote.url):
        packs = sorted((here.settings.folder / "objects").rglob("*.pack"))
        content = packs[0].read_bytes()
        packs[0].unlink()  # a folder's remote holds links to the same files
        packs[0].write_bytes(content[:200] + bytes(500) + content[700:])
        for pack in packs[1:]:
            pack.unlink()
        assert main(["objects", "verify", "--workspace", folder]) == 1
        code = main(["objects", "repair", "--from", damage, "--workspace", folder])
        assert code == 0, capsys.readouterr()
        assert main(["objects", "verify", "--workspace", folder]) == 0
    (here.files / "a").unlink()

    assert here.read("data@1", here.files) == {"a": small, "big": big}
    assert list((here.settings.folder / "tmp").glob("repair-*")) == []
    assert main(["objects", "repair", "--from", "nowhere", "--workspace", folder]) == 1


def test_a_remote_that_is_no_folder_is_told(here: Side, tmp_path: Path) -> None:
    """By its path."""
    here.add(a=b"a")
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable, match="file"):
        push(here.settings, RemoteLine(name="r", url=str(tmp_path / "file")), [])


def test_remotes_are_known_by_name_and_without_secrets(here: Side, tmp_path: Path) -> None:
    """An address with a password or a token is refused, and stands neither in the file nor in the error."""
    add_remote(here.settings, "one", str(tmp_path / "one"))
    add_remote(here.settings, "one", str(tmp_path / "one"))
    assert find_remote(here.settings, None).name == "one"
    for url in ("s3://key:hunter2@bucket/x", "s3://bucket/x?token=hunter2", "az://a/b#hunter2"):
        with pytest.raises(Invalid) as refused:
            add_remote(here.settings, "two", url)
        assert "hunter2" not in refused.value.message + (refused.value.hint or "")
    with pytest.raises(Invalid, match="no address"):
        add_remote(here.settings, "two", "ftp://example.com/x")
    with pytest.raises(Conflict, match="already"):
        add_remote(here.settings, "one", "s3://bucket/other")
    add_remote(here.settings, "two", "s3://bucket/x/")

    assert [line.url for line in known_remotes(here.settings)] == [str(tmp_path / "one"), "s3://bucket/x"]
    with pytest.raises(RemoteUnknown) as unknown:
        find_remote(here.settings, "twoo")
    assert "`two`" in (unknown.value.hint or "")
    with pytest.raises(Invalid, match="`one`, `two`"):
        find_remote(here.settings, None)
    remove_remote(here.settings, "one")
    with pytest.raises(RemoteUnknown):
        remove_remote(here.settings, "one")
    (here.settings.folder / "remotes.json").write_text("[")
    with pytest.raises(Corrupt, match=r"remotes\.json"):
        known_remotes(here.settings)
