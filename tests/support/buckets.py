"""Buckets for tests: in memory, on a real S3 server, and with a clock that stands still."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from noria.core.clock import ManualClock
from noria.core.objects.bucket import Body, Bucket, Stored
from noria.core.trust import trust_for
from support.ports import free_port
from support.waiting import wait_until

ACCESS_KEY, SECRET_KEY = "noria-tests", "the-secret-of-the-tests"
REGION = "us-east-1"


_ATTEMPTS = 4


class EndedAtStart(Exception):
    """A server ended before it answered; the text has its last words."""


class S3Unavailable(Exception):
    """The machine cannot run this S3 server; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """A running server that speaks S3, on loopback.

    Attributes
    ----------
    bucket
        One that is there. SeaweedFS keeps files of their own for each bucket, so tests share one.
    """

    endpoint: str
    bucket: str = "tests"

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which any S3 client finds it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
        }

    def client(self) -> Any:
        """Give a client of another make, to look at what Noria does from outside."""
        boto3 = importlib.import_module("boto3")
        config = importlib.import_module("botocore.config").Config(
            signature_version="s3v4", s3={"addressing_style": "path"}
        )
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
            config=config,
        )


@contextmanager
def running_moto() -> Iterator[S3Server]:
    """Start moto, which keeps everything in memory and takes any secret."""
    if importlib.util.find_spec("moto") is None:
        raise S3Unavailable("moto is not installed: pip install --group dev")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    endpoint = f"http://127.0.0.1:{port}"
    with _running(command, f"{endpoint}/moto-api/"):
        server = S3Server(endpoint=endpoint)
        server.client().create_bucket(Bucket=server.bucket)
        yield server


@contextmanager
def running_seaweed() -> Iterator[S3Server]:
    """Start SeaweedFS, which keeps files and checks signatures."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        raise S3Unavailable("SeaweedFS is not installed: pip install --group dev")
    folder = Path(tempfile.mkdtemp(prefix="noria-s3-"))
    grant = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identities = {"identities": [{"name": "noria", "credentials": [grant], "actions": actions}]}
    (folder / "s3.json").write_text(json.dumps(identities))
    try:
        with _seaweed(weed, folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _seaweed(weed: Path, folder: Path) -> Iterator[S3Server]:
    with contextlib.ExitStack() as running:
        for attempt in range(_ATTEMPTS):
            # Its parts talk on further ports too, each 10,000 above one that is named: these it can find taken.
            ports = {name: free_port() for name in ("master.port", "volume.port", "filer.port", "s3.port")}
            endpoint = f"http://127.0.0.1:{ports['s3.port']}"
            try:
                log = running.enter_context(
                    _running(_seaweed_command(weed, folder, ports), f"{endpoint}/status")
                )
            except EndedAtStart:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                break
        server = S3Server(endpoint=endpoint)
        wait_until(lambda: _takes_writes(server), 60, lambda: f"SeaweedFS: {log.read_text()[-2000:]}")
        yield server


def _seaweed_command(weed: Path, folder: Path, ports: Mapping[str, int]) -> list[str]:
    return [
        str(weed),
        "-logtostderr=true",
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{name}={port}" for name, port in ports.items()),
        "-filer",
        "-s3",
        f"-s3.config={folder / 's3.json'}",
        # Not needed here, and on ports that a second server of the same machine would find taken.
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-volume.max=20",
        "-master.volumeSizeLimitMB=64",
    ]


def _takes_writes(server: S3Server) -> bool:
    client = server.client()
    errors = importlib.import_module("botocore.exceptions")
    try:
        client.create_bucket(Bucket=server.bucket)
        client.put_object(Bucket=server.bucket, Key="ready", Body=b"x")
    except (errors.BotoCoreError, errors.ClientError):
        return False
    return True


@contextmanager
def _running(command: Sequence[str], answers_at: str) -> Iterator[Path]:
    log = Path(tempfile.mkdtemp(prefix="noria-s3-log-")) / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal must not end it under a test that still runs
        )
    try:
        wait_until(
            lambda: process.poll() is not None or _answers(answers_at),
            timeout_s=60,
            message=lambda: f"{command[0]} did not start: {log.read_text()[-2000:]}",
        )
        if process.poll() is not None:
            raise EndedAtStart(f"{command} ended at start: {log.read_text()[-2000:]}")
        yield log
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(log.parent, ignore_errors=True)


def _answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=2, verify=trust_for(url), trust_env=False)
    except httpx.HTTPError:
        return False
    return True


class StampedBucket:
    """A bucket whose own clock is replaced by a manual one, so that hours pass at once."""

    def __init__(self, bucket: Bucket, clock: ManualClock) -> None:
        self._bucket = bucket
        self._clock = clock
        self._stamps: dict[str, datetime] = {}
        self._lock = threading.Lock()  # nobody sees a key that has no stamp yet

    @property
    def url(self) -> str:
        return self._bucket.url

    def put(self, key: str, body: Body, *, size_bytes: int) -> None:
        with self._lock:
            self._bucket.put(key, body, size_bytes=size_bytes)
            self._stamps[key] = self._clock.now()

    def head(self, key: str) -> Stored | None:
        found = self._bucket.head(key)
        return found and self._stamped(found)

    def read(self, key: str, *, start: int, length: int) -> tuple[bytes, Stored] | None:
        found = self._bucket.read(key, start=start, length=length)
        return found and (found[0], self._stamped(found[1]))

    def list(self, prefix: str) -> Iterator[Stored]:
        return map(self._stamped, self._bucket.list(prefix))

    def delete(self, keys: Sequence[str]) -> None:
        self._bucket.delete(keys)

    def sign_puts(self, keys: Sequence[str], *, ttl_s: float) -> Sequence[str]:
        return self._bucket.sign_puts(keys, ttl_s=ttl_s)

    def _stamped(self, stored: Stored) -> Stored:
        with self._lock:
            return replace(stored, modified_at=self._stamps.get(stored.key, stored.modified_at))
