"""What a process may not do once its walls are shut, whoever asks: Python, a library in C, or a program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from support.outside import Outside, listening

PROGRAM = """
    import asyncio, ctypes, json, os, socket, struct, subprocess, sys
    from pathlib import Path
    from noria.decisions.walls import Walls, refuse_connections, refuse_writes

    inside, outside, port, how = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    os.chdir(inside)
    walls = Walls([inside])
    if how == "kernel":
        kernel = [refuse_writes([str(inside)]), refuse_connections()]
    else:
        kernel = []
        walls.shut()
    libc = ctypes.CDLL(None, use_errno=True)

    def tried(what):
        try:
            answer = what()
        except OSError as error:
            return str(error)
        return "done" if answer in (None, 0) else os.strerror(ctypes.get_errno()) if answer == -1 else repr(answer)

    def by_libc():
        made = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        address = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + bytes([127, 0, 0, 1]) + bytes(8)
        return libc.connect(made, address, len(address))

    def datagram():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"told", ("127.0.0.1", port))

    def connected():
        socket.create_connection(("127.0.0.1", port)).close()

    def numbers_only():
        socket.socket().connect(("127.0.0.1", port))

    async def nothing():
        await asyncio.sleep(0)

    def pair():
        one, other = socket.socketpair()
        one.sendall(b"told")
        assert other.recv(4) == b"told"

    shell = f"echo told > {outside}/by-a-program 2>/dev/null || exit 1"
    found = {
        "kernel": kernel,
        "connect": tried(connected),
        "connect without a look-up": tried(numbers_only),
        "libc": tried(by_libc),
        "datagram": tried(datagram),
        "unix": tried(lambda: socket.socket(socket.AF_UNIX).connect(str(outside / "none"))),
        "write": tried(lambda: (outside / "by-python").write_text("told") and None),
        "rename": tried(lambda: os.rename(outside / "kept", outside / "moved")),
        "remove": tried(lambda: os.remove(outside / "kept")),
        "read": tried(lambda: print((outside / "kept").read_text(), file=sys.stderr)),
        "inside": tried(lambda: (inside / "made").write_text("told") and None),
        "pair": tried(pair),
        "loop": tried(lambda: asyncio.run(nothing())),
        "program": tried(lambda: subprocess.run(["sh", "-c", shell], check=False).returncode),
        "harmless program": tried(lambda: subprocess.run(["true"], check=False).returncode),
        "refused": walls.refused,
    }
    print(json.dumps(found))
"""


@pytest.fixture
def outside() -> Iterator[Outside]:
    """Give a program that may not be told anything."""
    with listening() as made:
        yield made


def shut(tmp_path: Path, outside: Outside, how: str) -> dict[str, object]:
    """Run the program inside walls, and give how each attempt ended."""
    inside, beside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    beside.mkdir()
    (beside / "kept").write_text("kept")
    arguments = [str(inside), str(beside), str(outside.port), how]
    ran = subprocess.run(
        [sys.executable, "-B", "-c", dedent(PROGRAM), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert [each.name for each in beside.iterdir()] == ["kept"]
    assert outside.n_told == 0
    found: dict[str, object] = json.loads(ran.stdout)
    return found


def test_what_goes_out_is_refused_by_name_and_what_stays_in_goes_on(tmp_path: Path, outside: Outside) -> None:
    """Connections, datagrams and writes outside are refused, and what was; reading, pairs and own files are not."""
    found = shut(tmp_path, outside, "both")

    port = outside.port
    for what in ("connect", "connect without a look-up", "datagram"):
        assert f"may not connect to `127.0.0.1:{port}`" in str(found[what]), what
    assert "may not connect to" in str(found["unix"])
    for what, file in (("write", "by-python"), ("rename", "kept"), ("remove", "kept")):
        assert f"may not write to `{tmp_path}/outside/{file}`" in str(found[what]), what
    assert {found[what] for what in ("read", "inside", "pair", "loop")} == {"done"}
    assert found["program"] != "done"
    assert len(found["refused"]) >= 7  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform != "linux", reason="walls by the kernel are of Linux")
def test_the_kernel_refuses_whatever_asks(tmp_path: Path, outside: Outside) -> None:
    """Without Python's own word: sockets of a C library and files of a program are refused all the same."""
    found = shut(tmp_path, outside, "kernel")
    if found["kernel"] != [True, True]:
        pytest.skip(f"this kernel has no Landlock, or no filter of system calls: {found['kernel']}")

    for what in (
        "connect",
        "connect without a look-up",
        "libc",
        "datagram",
        "unix",
        "write",
        "rename",
        "remove",
    ):
        assert "Permission denied" in str(found[what]), what
    assert {found[what] for what in ("read", "inside", "pair", "loop", "harmless program")} == {"done"}
    assert found["program"] == "1"
