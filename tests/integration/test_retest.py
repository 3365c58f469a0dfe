"""What CI does about a test that fails once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "tools" / "retest.py"
TESTS = "def test_good():\n    pass\n\n\ndef test_wrong():\n    raise AssertionError\n"


@pytest.mark.parametrize(
    ("failed", "code", "told"),
    [
        (["test_pages.py::test_good"], 0, "UNSTABLE: test_pages.py::test_good"),
        (["test_pages.py::test_good", "test_pages.py::test_wrong"], 1, "1 failed, 1 passed"),
        ([f"test_pages.py::test_{n}" for n in "abcd"], 1, "4 tests failed, which is more than chance"),
        (["test_spool_crash.py::test_good"], 1, "must not fail"),
        (["test_pages.py"], 1, "`test_pages.py` could not be read"),
        ([], 1, "No test failed"),
        (None, 1, "left nothing that could be tried again"),
    ],
)
def test_a_second_chance_is_for_the_unstable(
    tmp_path: Path, failed: list[str] | None, code: int, told: str
) -> None:
    """One that passes alone is named and let through; many, broken ones and those about lost data are not."""
    (tmp_path / "test_pages.py").write_text(TESTS)
    if failed is not None:
        remembered = tmp_path / ".pytest_cache" / "v" / "cache" / "lastfailed"
        remembered.parent.mkdir(parents=True)
        remembered.write_text(json.dumps(dict.fromkeys(failed, True)))
    again = subprocess.run(
        [sys.executable, PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )

    assert again.returncode == code, again.stdout + again.stderr
    assert told in again.stdout + again.stderr
    assert ("UNSTABLE" in again.stdout) == (code == 0)
