"""The server keeps what people upload in a bucket, and says at start what is wrong with it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from noria.core.key import read_key
from noria.core.objects.bucket_layout import main_key
from noria.core.objects.project import ProjectStore
from noria.core.objects.service import Objects
from noria.core.objects.testing import pattern
from noria.core.remote import HttpTransport, remote_service
from support.buckets import S3Server, S3Unavailable, running_seaweed
from support.processes import Processes, RunningProcess

ANSWERS = "Noria answers at "


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    try:
        with running_seaweed() as server:
            yield server
    except S3Unavailable as reason:
        if os.environ.get("TEST_SERVICES") == "required":
            raise
        pytest.skip(f"SeaweedFS: {reason}")


def start(
    processes: Processes, command: tuple[str, ...], folder: Path, env: dict[str, str]
) -> RunningProcess:
    argv = [*command, "server", "--workspace", str(folder), "--port", "0"]
    return processes.start(argv, name="server", env=env)


def test_what_is_uploaded_lies_in_the_bucket(
    s3: S3Server, processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """Objects pass through the server into the bucket and back, whole and in parts; the folder keeps none."""
    prefix = secrets.token_hex(4)
    env = {**s3.environment, "NORIA_OBJECTS": f"s3://{s3.bucket}/{prefix}"}
    child = start(processes, noria_command, tmp_path / "w", env)
    url = child.wait_for_output(ANSWERS).partition(ANSWERS)[2].strip()
    transport = HttpTransport(url, secret=read_key(tmp_path / "w"))
    store = ProjectStore(remote_service(Objects, transport), "default")
    data = pattern(12_000_000)

    info = store.put([data[:5_000_000], data[5_000_000:]])

    assert store.get(info.digest, limit_bytes=len(data)) == data
    assert b"".join(store.open(info.digest, start=4_999_999, length=3)) == data[4_999_999:5_000_002]
    head = s3.client().head_object(Bucket=s3.bucket, Key=f"{prefix}/{main_key(info.digest)}")
    assert head["ContentLength"] == len(data)
    assert not (tmp_path / "w" / "objects").exists()
    transport.close()
    assert child.stop() == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "does not take these credentials"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "does not answer"),
        ({"NORIA_OBJECTS": "s3x://bucket"}, "neither a folder nor a bucket"),
    ],
)
def test_a_server_without_its_bucket_does_not_start(
    s3: S3Server,
    processes: Processes,
    noria_command: tuple[str, ...],
    tmp_path: Path,
    change: dict[str, str],
    said: str,
) -> None:
    """It ends at once with what to mend, rather than at the first upload."""
    env = {**s3.environment, "NORIA_OBJECTS": f"s3://{s3.bucket}/x", **change}

    child = start(processes, noria_command, tmp_path / "w", env)

    assert child.wait() in (1, 2)  # 2: the setting itself is wrong
    assert said in child.output()
    assert "hint: " in child.output()
