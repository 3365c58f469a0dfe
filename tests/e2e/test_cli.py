"""The command line as a person and as a script meet it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from support.waiting import wait_until

Noria = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def noria(noria_command: tuple[str, ...], tmp_path: Path) -> Noria:
    """Run a command in a folder of the test's own."""

    def run(*arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*noria_command, *arguments],
            cwd=tmp_path,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(done.stdout)
    return found


def on_a_terminal(command: list[str], cwd: Path, **env: str) -> str:
    """Run a command whose streams are a terminal and give what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "TERM": "xterm-256color", **env},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not chunk:
            break
        shown += chunk
    process.wait(60)
    os.close(ours)
    return shown.decode()


@pytest.mark.smoke
def test_from_nothing_to_a_versioned_dataset(noria: Noria, tmp_path: Path) -> None:
    """init, add, log, show, check out, verify, collect: data on stdout, words on stderr."""
    assert noria("init").stdout == ""
    np.save(tmp_path / "points.npy", np.arange(12.0).reshape(4, 3))
    added = answer(noria("data", "add", "points.npy", "--name", "points", "-m", "first", "--json"))
    again = noria("data", "add", "points.npy", "--name", "points")
    listed = answer(noria("data", "list", "--json"))
    shown = noria("data", "show", "points@1").stdout
    noria("data", "checkout", "points", "out")
    verified = answer(noria("objects", "verify", "--json"))
    collected = answer(noria("objects", "gc", "--dry-run", "--json"))
    events = answer(noria("audit", "events", "--json"))

    assert (added["version"], added["n_rows"]) == (1, 4)
    assert "Nothing changed since points@1" in again.stderr
    assert listed["next"] is None
    assert "data[2]" in shown
    assert np.array_equal(np.load(tmp_path / "out" / "data.npy"), np.arange(12.0).reshape(4, 3))
    assert verified == {"ok": True, "problems": []}
    assert (collected["n_removed"], collected["dry_run"]) == (0, True)
    items = events["items"]
    assert isinstance(items, list)
    assert "dataset.version_added" in [event["type"] for event in items]


def test_a_damaged_object_is_named(noria: Noria, tmp_path: Path) -> None:
    """`noria objects verify` fails and says which."""
    noria("init")
    (tmp_path / "a.txt").write_text("content")
    noria("data", "add", "a.txt", "--name", "a")
    damaged = next(
        path for path in (tmp_path / ".noria" / "objects" / "objects").rglob("*") if path.is_file()
    )
    damaged.chmod(0o600)
    damaged.write_bytes(b"something else")
    done = noria("objects", "verify", "--json", code=1)
    words = noria("objects", "verify", code=1)
    (problem,) = json.loads(done.stdout)["problems"]

    assert problem["kind"] == "corrupt"
    assert damaged.name in problem["name"]
    assert damaged.name in words.stdout


def test_errors_have_their_stream_their_code_and_their_form(noria: Noria) -> None:
    """1 failed, 2 misused; words or JSON on stderr, nothing on stdout."""
    noria("init")
    failed = noria("data", "log", "nope", code=1)
    in_json = noria("data", "log", "nope", "--json", code=1)
    misused = noria("data", "list", "--limit", "0", "--json", code=2)
    unset = noria("data", "list", code=2, NORIA_WORKSPAC="x")

    assert failed.stdout == in_json.stdout == misused.stdout == ""
    assert failed.stderr.startswith("error: There is no dataset `nope`\n\nhint: ")
    assert json.loads(in_json.stderr)["code"] == "not_found"
    assert json.loads(misused.stderr)["code"] == "misused"
    assert "Did you mean `NORIA_WORKSPACE`?" in unset.stderr


def test_a_broken_project_file_is_named(noria: Noria, tmp_path: Path) -> None:
    """By every command that reads it."""
    noria("init")
    (tmp_path / "noria.toml").write_text("[projct]\n")
    for command in (["data", "list"], ["runs", "list"], ["objects", "verify"], ["audit", "events"]):
        assert "Did you mean `project`?" in noria(*command, code=2).stderr


def test_what_lists_and_verifies_stays_in_its_folder(noria: Noria, tmp_path: Path) -> None:
    """A server's objects are verified where they lie."""
    done = noria("objects", "verify", "-w", "http://noria.example:1", code=2)

    assert "needs a workspace folder" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_is_no_failure(
    noria: Noria, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """`noria data show … | head -1` ends at once, with 0, and complains of nothing."""
    noria("init")
    np.save(tmp_path / "wide.npy", np.random.default_rng(0).normal(size=(25, 1500)))
    noria("data", "add", "wide.npy", "--name", "wide")
    for arguments in (["data", "show", "wide", "--json"], ["data", "show", "wide"], ["--help"]):
        process = subprocess.Popen(
            [*noria_command, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        said = process.stderr.read()
        process.stderr.close()

        assert process.wait(60) == 0
        assert said == b""


def test_an_interrupt_ends_a_command_quietly(
    noria: Noria, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """Exit code 130, as shells have it, and no traceback."""
    noria("init")
    process = subprocess.Popen(
        [*noria_command, "users", "create", "ann"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: _waits_for_input(process.pid), 60, "the command never asked")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert b"Traceback" not in said


def _waits_for_input(pid: int) -> bool:
    """Tell whether a process sleeps in a read of its standard input, which is a pipe."""
    return "pipe" in Path(f"/proc/{pid}/wchan").read_text() or _in_read_of_stdin(pid)


def _in_read_of_stdin(pid: int) -> bool:
    try:
        call = Path(f"/proc/{pid}/syscall").read_text().split()
    except OSError:
        return False
    return len(call) > 2 and (call[0], call[1]) == ("0", "0x0")


def test_colour_is_for_terminals_that_want_it(
    noria: Noria, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """None in a pipe, none with `NO_COLOR`; the same words everywhere."""
    noria("init")
    command = [*noria_command, "data", "log", "nope"]
    coloured = on_a_terminal(command, tmp_path)
    plain = on_a_terminal(command, tmp_path, NO_COLOR="1")
    piped = noria("data", "log", "nope", code=1).stderr

    assert "\x1b[1;31m" in coloured
    for text in (plain, piped):
        assert "\x1b[3" not in text
        assert "\x1b[1;3" not in text
        assert "error: There is no dataset `nope`" in text.replace("\x1b[1m", "").replace("\x1b[0m", "")


def test_tables_in_a_pipe_keep_whole_cells(noria: Noria, tmp_path: Path) -> None:
    """However narrow a terminal would be: `grep` finds what stands in one cell."""
    noria("init")
    (tmp_path / "a.txt").write_text("a")
    message = "a message of many words that no terminal of eighty columns would keep on one line of a table"
    noria("data", "add", "a.txt", "--name", "a-name-that-is-rather-long-as-names-go", "-m", message)

    assert message in noria("data", "log", "a-name-that-is-rather-long-as-names-go", COLUMNS="40").stdout
