"""The author of versions and runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from noria.core.author import local_author

NAMELESS = 987_654


def test_a_user_is_named_by_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the environment or the system has it."""
    monkeypatch.setenv("LOGNAME", "ann")

    assert local_author() == "ann"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user that has no name")
def test_a_user_without_a_name_is_a_number() -> None:
    """As in a container that runs as any number."""
    # Imported first: the other user may not read this environment.
    program = (
        "import os, pwd; from noria.core.author import local_author; os.setuid({}); print(local_author())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program.format(NAMELESS)],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == f"uid-{NAMELESS}\n"
