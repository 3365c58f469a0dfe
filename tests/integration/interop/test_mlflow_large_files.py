"""Artifacts larger than the memory a server may take: streamed in, out and in parts, to a server of its own."""

from __future__ import annotations

import hashlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from support.ports import free_port
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

MIB = 1 << 20
GROWTH_BYTES = 64 * MIB
"""By so much a server may grow, whatever the size of a file."""


@pytest.fixture
def server(
    processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> tuple[str, RunningProcess]:
    """Give the URL of a server, and its process."""
    port = free_port()
    process = processes.start(
        [*noria_command, "server", "--port", str(port), "--workspace", tmp_path / "workspace"], name="server"
    )
    process.wait_for_output("answers at")
    return f"http://127.0.0.1:{port}", process


def pieces(n_mib: int) -> Iterator[bytes]:
    """Give the bytes of a file, none of which can be foretold from others."""
    source = random.Random(20261122)
    for _ in range(n_mib):
        yield source.randbytes(MIB)


@pytest.mark.parametrize("n_mib", [96, pytest.param(1024, marks=pytest.mark.soak)])
def test_a_large_artifact_goes_through_a_small_server(server: tuple[str, RunningProcess], n_mib: int) -> None:
    """Every byte comes back, a range from its end alone, and the server's memory does not follow the size."""
    url, process = server
    place = f"{url}/api/2.0/mlflow-artifacts/artifacts/large/file.bin"
    memory = psutil.Process(process.pid)
    sent, given, at_rest = hashlib.sha256(), hashlib.sha256(), memory.memory_info().rss
    most, last = at_rest, b""

    def content() -> Iterator[bytes]:
        nonlocal most, last
        for last in pieces(n_mib):
            sent.update(last)
            yield last
            most = max(most, memory.memory_info().rss)

    with httpx.Client(timeout=300, trust_env=False) as http:
        assert http.put(place, content=content()).status_code == 200
        with http.stream("GET", place) as answer:
            assert int(answer.headers["content-length"]) == n_mib * MIB
            for part in answer.iter_bytes(MIB):
                given.update(part)
                most = max(most, memory.memory_info().rss)
        tail = http.get(place, headers={"Range": f"bytes={n_mib * MIB - 1000}-"})

    assert given.hexdigest() == sent.hexdigest()
    assert (tail.status_code, tail.content) == (206, last[-1000:])
    assert most - at_rest < GROWTH_BYTES


def test_an_upload_that_breaks_off_leaves_nothing(server: tuple[str, RunningProcess]) -> None:
    """The file is not there, the one before it is as it was, and the server goes on."""
    url, process = server
    path = "/api/2.0/mlflow-artifacts/artifacts/large/file.bin"
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        http.put(path, content=b"before").raise_for_status()
        for name in ("file.bin", "other.bin"):
            head = (
                f"PUT {path.replace('file.bin', name)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Content-Length: {64 * MIB}\r\n\r\n"
            )
            with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0)) as connection:
                connection.sendall(head.encode() + b"x" * 8 * MIB)
        listed = "/api/2.0/mlflow-artifacts/artifacts?path=large"
        wait_until(lambda: not transfers(process), 30, "The server still waits for what was broken off")

        assert http.get(listed).json() == {"files": [{"path": "file.bin", "is_dir": False, "file_size": 6}]}
        assert http.get(path).content == b"before"


def transfers(process: RunningProcess) -> list[object]:
    """Give the connections on which a server still receives what was broken off."""
    connections = psutil.Process(process.pid).net_connections("tcp")
    return [each for each in connections if each.status == psutil.CONN_CLOSE_WAIT]
