"""Uploads of MLflow's clients in parts, which go to a bucket and not through the server."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from noria.core.clock import SystemClock
from noria.core.context import Context
from noria.core.objects.testing import pattern
from noria.tracking.entities import NewRun
from noria.tracking.service import Runs
from support.buckets import S3Server, S3Unavailable, running_seaweed
from support.conformance import open_test_context, workspace_settings

PART_BYTES = 5 * 1024 * 1024
DATA = pattern(2 * PART_BYTES + 12345)
MPU = "/api/2.0/mlflow-artifacts/mpu"
TREE = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """Start a server that speaks S3 and checks signatures."""
    try:
        with running_seaweed() as server:
            yield server
    except S3Unavailable as reason:
        if os.environ.get("TEST_SERVICES") == "required":
            raise
        pytest.skip(f"SeaweedFS: {reason}")


@pytest.fixture
def context(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """Give the backends of a fresh workspace whose objects are in a bucket."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    objects_url = f"s3://{s3.bucket}/{secrets.token_hex(4)}"
    settings = replace(workspace_settings(tmp_path / "workspace"), objects_url=objects_url)
    with open_test_context(settings, SystemClock()) as opened:
        yield opened


@pytest.fixture
def folder(context: Context) -> str:
    """Give the folder of a run in the tree of artifacts."""
    run = context.service(Runs).create("default", NewRun()).id
    return f"0/{run}/artifacts/models"


def begin(http: httpx.Client, folder: str, n_parts: int = 3) -> dict[str, Any]:
    """Begin an upload of `big.bin`."""
    answer = http.post(f"{MPU}/create/{folder}", json={"path": "/home/me/big.bin", "num_parts": n_parts})
    assert answer.status_code == 200, answer.text
    begun: dict[str, Any] = answer.json()
    return begun


def send(begun: dict[str, Any]) -> list[dict[str, Any]]:
    """Send the parts to the bucket, the last one first, and give what completes the upload."""
    sent = []
    for credential in reversed(begun["credentials"]):
        begin_at = (credential["part_number"] - 1) * PART_BYTES
        part = DATA[begin_at : begin_at + PART_BYTES]
        answer = httpx.put(credential["url"], content=part, headers=credential.get("headers"))
        assert answer.status_code == 200, answer.text
        number, tag = credential["part_number"], answer.headers["etag"]
        sent.append({"part_number": number, "etag": tag, "url": credential["url"]})
    return sent


def finish(http: httpx.Client, folder: str, upload_id: str, parts: list[dict[str, Any]]) -> httpx.Response:
    """Complete an upload of `big.bin`."""
    body = {"path": "/home/me/big.bin", "upload_id": upload_id, "parts": parts}
    return http.post(f"{MPU}/complete/{folder}", json=body)


def test_a_large_file_goes_past_the_server(http: httpx.Client, folder: str) -> None:
    """Begun, sent to signed addresses in any order, and put together as a file like any other."""
    assert http.get("/api/3.0/mlflow/server-info").json()["multipart_uploads_enabled"] is True
    begun = begin(http, folder)
    assert [each["part_number"] for each in begun["credentials"]] == [1, 2, 3]
    done = finish(http, folder, begun["upload_id"], send(begun))

    assert (done.status_code, done.json()) == (200, {})
    assert http.get(f"{TREE}/{folder}/big.bin").content == DATA
    part = http.get(f"{TREE}/{folder}/big.bin", headers={"range": "bytes=5242878-5242881"})
    assert part.content == DATA[5242878:5242882]
    listed = http.get(TREE, params={"path": folder}).json()["files"]
    assert listed == [{"path": "big.bin", "is_dir": False, "file_size": len(DATA)}]
    again = finish(http, folder, begun["upload_id"], [{"part_number": 1, "etag": "x"}])
    assert (again.status_code, again.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_small_file_still_goes_through_the_server(http: httpx.Client, folder: str) -> None:
    """PUT and GET of the tree work as with a folder."""
    assert http.put(f"{TREE}/{folder}/small.txt", content=b"small").status_code == 200
    assert http.get(f"{TREE}/{folder}/small.txt").text == "small"
    assert http.put(f"{TREE}/{folder}/empty.txt", content=b"").status_code == 200
    assert http.get(f"{TREE}/{folder}/empty.txt").content == b""


def test_an_upload_is_given_up(http: httpx.Client, folder: str) -> None:
    """What was sent is gone, and completing finds nothing."""
    begun = begin(http, folder)
    parts = send(begun)
    body = {"path": "/home/me/big.bin", "upload_id": begun["upload_id"]}

    assert http.post(f"{MPU}/abort/{folder}", json=body).json() == {}
    assert finish(http, folder, begun["upload_id"], parts).status_code == 404
    assert http.get(f"{TREE}/{folder}/big.bin").status_code == 404


def test_what_was_not_sent_is_not_put_together(http: httpx.Client, folder: str) -> None:
    """A missing part, a foreign tag, another place, a wrong number of parts, and bad paths are refused."""
    begun = begin(http, folder)
    parts = send(begun)
    upload_id = begun["upload_id"]
    for wrong in ([*parts, {"part_number": 4, "etag": "x"}], [{**parts[0], "etag": '"other"'}], []):
        refused = finish(http, folder, upload_id, wrong)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert finish(http, "0/elsewhere", upload_id, parts).status_code == 404
    assert http.get(f"{TREE}/{folder}/big.bin").status_code == 404
    for body in ({"path": "x"}, {"path": "x", "num_parts": 0}, {"path": "x", "num_parts": 100_000}, {}):
        refused = http.post(f"{MPU}/create/{folder}", json=body)
        assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    for path in ("%2e%2e", "a%2F..%2Fb"):
        refused = http.post(f"{MPU}/create/{path}", json={"path": "x", "num_parts": 1})
        assert refused.json()["message"] == "Invalid path"
