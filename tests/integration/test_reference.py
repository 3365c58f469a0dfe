"""The reference pages are what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_up_to_date() -> None:
    """Commands, settings, operations, events and errors stand in docs/reference as they are in the code."""
    tool = ROOT / "tools" / "make_reference.py"
    checked = subprocess.run(
        [sys.executable, str(tool), "--check"], capture_output=True, text=True, check=False, cwd=ROOT
    )

    assert checked.returncode == 0, checked.stderr
