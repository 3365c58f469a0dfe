"""The light parent of `noria up`."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from noria.core.errors import Conflict
from noria.serving.supervisor import Program, choose_port, describe_end, is_ready

HEAVY = ("numpy", "scipy", "sklearn", "polars", "skops", "sqlalchemy", "httpx", "litestar", "dbos", "rich")


def _loaded_by(statement: str, names: tuple[str, ...]) -> list[str]:
    program = f"import sys\n{statement}\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


def test_the_parent_loads_nothing_heavy() -> None:
    """It stays up as long as its children, and should not take their memory a second time."""
    assert _loaded_by("import noria.serving.supervisor, noria.serving.commands", HEAVY) == []


def test_the_services_load_no_numbers() -> None:
    """What runs in the server process stays free of NumPy and what stands on it."""
    statement = "import noria.serving.service, noria.serving.control"

    assert _loaded_by(statement, ("numpy", "scipy", "sklearn", "polars", "skops")) == []


def test_a_port_that_was_asked_for_must_be_free(free_port: int) -> None:
    """The error names the option."""
    assert choose_port(free_port, 1, "--port") == free_port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        with pytest.raises(Conflict) as caught:
            choose_port(free_port, 1, "--serve-port")

    assert "--serve-port" in (caught.value.hint or "")


def test_a_preferred_port_gives_way(free_port: int) -> None:
    """Without an option any free port will do."""
    assert choose_port(None, free_port, "--port") == free_port
    assert choose_port(None, free_port, "--port", taken=[free_port]) not in (0, free_port)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        assert choose_port(None, free_port, "--port") != free_port


def test_a_program_without_an_address_is_ready_when_it_runs(free_port: int) -> None:
    """One that nobody answers for is not."""
    silent = Program(name="worker", label="", arguments=[])
    absent = Program(
        name="serve",
        label="",
        arguments=[],
        url=f"http://127.0.0.1:{free_port}",
        ready_path="/v2/health/ready",
    )

    assert is_ready(silent)
    assert not is_ready(absent)


def test_the_end_of_a_child_is_told_in_words() -> None:
    """A signal by its name, an exit by its code."""
    assert (describe_end(3), describe_end(-9)) == ("exit code 3", "killed by SIGKILL")
