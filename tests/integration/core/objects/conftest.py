"""Real servers that speak S3, and a bucket on each."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from support.buckets import S3Server, S3Unavailable, running_moto, running_seaweed


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    with running_moto() as server:
        yield server


@pytest.fixture(scope="session")
def seaweed() -> Iterator[S3Server]:
    try:
        with running_seaweed() as server:
            yield server
    except S3Unavailable as reason:
        if os.environ.get("TEST_SERVICES") == "required":
            raise
        pytest.skip(f"SeaweedFS: {reason}")


@pytest.fixture(params=["moto", "seaweed"])
def s3(request: pytest.FixtureRequest) -> S3Server:
    """Give each server in turn."""
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def s3_url(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the address of an empty place in a bucket, with what it needs in the environment."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.bucket}/{secrets.token_hex(8)}/prefix"
