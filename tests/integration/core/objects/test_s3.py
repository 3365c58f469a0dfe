"""The store on servers that speak S3: the contract of the port, atomic puts, bounded memory, errors with their mend."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from noria.core.clock import ManualClock, SystemClock
from noria.core.errors import ConfigInvalid, TooLarge, Unavailable
from noria.core.objects.bucket import ObstoreBucket, open_bucket
from noria.core.objects.bucket_layout import main_key
from noria.core.objects.bucket_store import BucketObjectStore
from noria.core.objects.digests import hash_bytes
from noria.core.objects.local import LocalObjectStore
from noria.core.objects.multipart import BucketUploads, PartsInvalid, UploadNotFound, multipart_uploads
from noria.core.objects.opening import open_objects
from noria.core.objects.store import ObjectStore
from noria.core.objects.testing import DAY_S, Damage, ObjectStoreConformance, nobody, pattern
from support.buckets import S3Server, StampedBucket
from support.ports import free_port
from support.processes import Processes


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def bucket(s3_url: str) -> ObstoreBucket:
    return open_bucket(s3_url)


@pytest.fixture
def store(bucket: ObstoreBucket, clock: ManualClock, tmp_path: Path) -> BucketObjectStore:
    return BucketObjectStore(StampedBucket(bucket, clock), spool=tmp_path)


@pytest.fixture
def damage(s3: S3Server, s3_url: str) -> Damage:
    name, _, prefix = s3_url.removeprefix("s3://").partition("/")

    def flip(digest: str) -> None:
        client, key = s3.client(), f"{prefix}/{main_key(digest)}"
        data = client.get_object(Bucket=name, Key=key)["Body"].read()
        client.put_object(Bucket=name, Key=key, Body=bytes([data[0] ^ 1]) + data[1:])

    return flip


class TestConformance(ObjectStoreConformance):
    """The store passes the suite of the port on each server."""


def test_ages_are_told_by_the_servers_own_clock(bucket: ObstoreBucket, tmp_path: Path) -> None:
    """Without any clock of ours, what was just put is young, and without a grace period it is not."""
    store = BucketObjectStore(bucket, spool=tmp_path)
    store.put_bytes(b"just now")

    assert store.collect(nobody, grace_s=60).n_young == 1
    assert store.collect(nobody, grace_s=0).n_removed <= 1


def test_a_multipart_upload_that_breaks_leaves_nothing(
    s3: S3Server, s3_url: str, bucket: ObstoreBucket
) -> None:
    """A body that raises in the middle of an upload in parts leaves neither the key nor parts of it."""

    def broken() -> Iterator[bytes]:
        yield pattern(20_000_000)
        raise ValueError("the sender's own trouble")

    with pytest.raises(ValueError, match="the sender's own trouble"):
        bucket.put("objects/x", broken(), size_bytes=40_000_000)

    assert bucket.head("objects/x") is None
    assert not s3.client().list_multipart_uploads(Bucket=s3.bucket).get("Uploads")


def test_a_folder_and_a_bucket_hold_the_same_keys(
    s3: S3Server, s3_url: str, store: BucketObjectStore, tmp_path: Path, clock: ManualClock
) -> None:
    """What another program copies from a folder into the bucket is read as if it had been put there."""
    folder = tmp_path / "folder"
    local = LocalObjectStore(folder, clock)
    digests = [local.put_bytes(bytes([n])).digest for n in range(5)]
    name, _, prefix = s3_url.removeprefix("s3://").partition("/")
    for path in folder.glob("objects/*/*"):
        s3.client().upload_file(str(path), name, f"{prefix}/{path.relative_to(folder).as_posix()}")

    assert store.missing(digests) == set()
    assert list(store.verify()) == []


def test_memory_does_not_grow_with_the_object(
    seaweed: S3Server, processes: Processes, tmp_path: Path
) -> None:
    """An object of 200 MB passes in and out within 80 MB above what the process has anyway."""
    program = Path(__file__).with_name("s3_memory_child.py")

    command: list[str | Path] = [sys.executable, program, f"s3://{seaweed.bucket}/memory", tmp_path]
    child = processes.start(command, env=seaweed.environment)

    assert child.wait(120) == 0
    assert int(child.output().split()[-1]) < 80


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "credentials"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "credentials"),
    ],
)
def test_refused_credentials_are_named(
    seaweed: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    """A server that refuses us is told apart from one that is away, with the variables to set."""
    for name, value in {**seaweed.environment, **change}.items():
        monkeypatch.setenv(name, value)
    store = BucketObjectStore(open_bucket(f"s3://{seaweed.bucket}/x"), spool=tmp_path)

    with pytest.raises(Unavailable, match=said) as caught:
        store.put_bytes(b"x")
    assert "AWS_SECRET_ACCESS_KEY" in str(caught.value.hint)


def test_a_bucket_that_is_not_there_is_named(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every method says which bucket is missing; none says that an object is. (SeaweedFS makes it instead.)"""
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    store = BucketObjectStore(open_bucket("s3://no-such-bucket/x"), spool=tmp_path)
    digest = hash_bytes(b"x")

    for call in (
        lambda: store.put_bytes(b"x"),
        lambda: store.has(digest),
        lambda: store.size(digest),
        lambda: store.get(digest, limit_bytes=9),
        lambda: list(store.verify()),
        lambda: store.collect(nobody, grace_s=0),
    ):
        with pytest.raises(Unavailable, match="There is no bucket for `s3://no-such-bucket/x`"):
            call()


def test_a_server_that_is_away_is_told_soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A storage that nobody listens for is `Unavailable`, and trying again may help."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    store = BucketObjectStore(open_bucket("s3://bucket"), spool=tmp_path)

    with pytest.raises(Unavailable, match="does not answer") as caught:
        store.has(hash_bytes(b"x"))
    assert caught.value.retryable


@pytest.mark.parametrize("url", ["s3://", "ftp://host/x", "s4://bucket/x", "http://host/bucket"])
def test_refuses_addresses_of_no_known_kind(url: str, tmp_path: Path) -> None:
    """An address that names no bucket is a wrong setting, with those that are right."""
    with pytest.raises(ConfigInvalid, match=r"neither a folder nor a bucket") as caught:
        open_objects(url, SystemClock(), spool=tmp_path)
    assert "s3://bucket/prefix" in str(caught.value.hint)


def test_a_folder_needs_no_bucket_library(processes: Processes, tmp_path: Path) -> None:
    """Whoever keeps objects in a folder does not load obstore."""
    program = (
        "import sys; from pathlib import Path; from noria.core.clock import SystemClock;"
        "from noria.core.objects.opening import open_objects;"
        f"open_objects('{tmp_path}/o', SystemClock(), spool=Path('{tmp_path}')).put_bytes(b'x');"
        "print('obstore' in sys.modules)"
    )

    child = processes.start([sys.executable, "-c", program])

    assert child.wait() == 0
    assert child.output().strip() == "False"


@pytest.fixture
def uploads(bucket: ObstoreBucket, tmp_path: Path) -> BucketUploads:
    return BucketUploads(BucketObjectStore(bucket, spool=tmp_path))


def send(url: str, data: bytes, headers: dict[str, str]) -> str:
    answer = httpx.put(url, content=data, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.headers["etag"]


def test_an_upload_in_parts_passes_the_server_by(uploads: BucketUploads, bucket: ObstoreBucket) -> None:
    """Parts are PUT to signed addresses in any order; completing makes one object of them and clears them away."""
    data = [pattern(1000), b"", pattern(5_000_000)]
    started = uploads.create("runs/1/model.bin", n_parts=3)
    parts = [
        (address.number, send(address.url, data[address.number - 1], address.headers))
        for address in reversed(started.parts)
    ]

    info = uploads.complete("runs/1/model.bin", started.upload_id, parts)

    whole = b"".join(data)
    assert (info.digest, info.size_bytes) == (hash_bytes(whole), len(whole))
    assert uploads._store.get(info.digest, limit_bytes=len(whole)) == whole
    assert list(bucket.list("staging")) == []
    with pytest.raises(UploadNotFound):
        uploads.complete("runs/1/model.bin", started.upload_id, parts)


def test_an_upload_belongs_to_its_place(uploads: BucketUploads) -> None:
    """Whoever knows an upload's id cannot complete or end it elsewhere."""
    started = uploads.create("runs/1/x", n_parts=1)
    tag = send(started.parts[0].url, b"x", started.parts[0].headers)

    for upload_id, place in [
        (started.upload_id, "runs/2/x"),
        ("../../objects", "runs/1/x"),
        ("0" * 32 + started.upload_id[32:], "runs/1/x"),
    ]:
        with pytest.raises(UploadNotFound):
            uploads.complete(place, upload_id, [(1, tag)])
    with pytest.raises(UploadNotFound):
        uploads.abort("runs/2/x", started.upload_id)
    assert uploads.complete("runs/1/x", started.upload_id, [(1, tag)]).size_bytes == 1


def test_parts_that_are_not_the_announced_ones_are_refused(uploads: BucketUploads) -> None:
    """A part that is missing, named twice or has another tag keeps the upload from completing, and it can be mended."""
    started = uploads.create("x", n_parts=2)
    tag = send(started.parts[0].url, b"one", started.parts[0].headers)

    for parts in ([], [(1, tag), (1, tag)], [(1, tag), (2, tag)], [(1, '"other"')]):
        with pytest.raises(PartsInvalid):
            uploads.complete("x", started.upload_id, parts)
    second = send(started.parts[1].url, b"two", started.parts[1].headers)
    with pytest.raises(TooLarge):
        uploads.complete("x", started.upload_id, [(1, tag), (2, second)], limit_bytes=5)
    assert uploads.complete("x", started.upload_id, [(2, second), (1, tag)]).digest == hash_bytes(b"onetwo")


def test_an_upload_given_up_leaves_nothing(uploads: BucketUploads, bucket: ObstoreBucket) -> None:
    """Ending an upload removes its parts; ending it twice is no error."""
    started = uploads.create("x", n_parts=1)
    send(started.parts[0].url, b"x", started.parts[0].headers)

    uploads.abort("x", started.upload_id)
    uploads.abort("x", started.upload_id)

    assert list(bucket.list("staging")) == []


def test_forgotten_uploads_are_swept_after_a_day(store: BucketObjectStore, clock: ManualClock) -> None:
    """Parts of uploads that nobody completed are leftovers like any other."""
    store.bucket.put("staging/0-0/00001", b"x", size_bytes=1)

    assert store.collect(nobody, grace_s=0).n_temporary == 0
    clock.advance(DAY_S + 1)
    assert store.collect(nobody, grace_s=0).n_temporary == 1
    assert list(store.bucket.list("staging")) == []


def test_only_a_bucket_takes_uploads_past_the_server(store: ObjectStore, tmp_path: Path) -> None:
    """A folder has no addresses to send parts to."""
    assert multipart_uploads(store) is not None
    assert multipart_uploads(LocalObjectStore(tmp_path, SystemClock())) is None
    assert os.environ["AWS_ENDPOINT_URL"]
