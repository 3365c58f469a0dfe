"""Run once more, alone, the few tests that failed in a run of all: `retest.py [FOLDER]`, after `make test`.

Among ten thousand tests on a machine that others use as well, one fails now and then that a quiet machine would pass.
Who submits a change should not pay for it, and nobody should overlook it: such a test is named as unstable and mended
like any other defect. Several at once are the fault of the change, and tests that no data is lost get no second chance.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST = 3
"""How many tests may be unstable in one run."""

DURABILITY = ("kill", "crash", "full_disk", "upgrade", "tampering")
"""Parts of the names of files whose tests must never fail."""


def failed_tests(folder: Path) -> list[str]:
    """Give the tests that failed in the last run, as pytest remembers them.

    Raises
    ------
    SystemExit
        If the run did not come to its end.
    """
    remembered = folder / ".pytest_cache" / "v" / "cache" / "lastfailed"
    if not remembered.exists():
        raise SystemExit("The run of the tests left nothing that could be tried again")
    return sorted(json.loads(remembered.read_text()))


def refusal(failed: list[str]) -> str | None:
    """Say why these tests are not tried again, if so."""
    if not failed:
        return "No test failed, so something else ended the run"
    if len(failed) > MOST:
        return f"{len(failed)} tests failed, which is more than chance"
    for test in failed:
        file = test.partition("::")[0]
        if test == file:
            return f"`{file}` could not be read"
        if any(part in file for part in DURABILITY):
            return f"`{test}` shows that nothing is lost, and must not fail"
    return None


def main(folder: Path) -> int:
    """Try what failed again; gives 0 if all of it passed."""
    failed = failed_tests(folder)
    reason = refusal(failed)
    if reason is not None:
        print(f"No second chance: {reason}")
        return 1
    again = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *failed], cwd=folder, check=False
    )
    for test in failed if again.returncode == 0 else []:
        print(f"UNSTABLE: {test} failed among all tests and passed alone; see above how, and mend it")
    return again.returncode


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if sys.argv[1:] else Path()))
