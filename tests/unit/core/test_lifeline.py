"""No child outlives its parent."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

from noria.core.lifeline import Lifeline, end_with_parent

CHILD = """
import sys, time
from noria.core.lifeline import end_with_parent
end_with_parent(int(sys.argv[1]), grace_s=0.2)
{extra}
print("ready", flush=True)
time.sleep(60)
"""


def _start(lifeline: Lifeline, extra: str = "") -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(extra=extra), str(lifeline.child_fd)],
        pass_fds=[lifeline.child_fd],
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.stdout.close()
    return child


def test_a_child_is_told_to_end_when_its_parent_lets_go() -> None:
    """A closed pipe ends the child by SIGTERM."""
    lifeline = Lifeline()
    child = _start(lifeline)

    assert child.poll() is None
    lifeline.close()

    assert child.wait(20) == -signal.SIGTERM


def test_a_child_that_ignores_the_signal_is_ended_after_the_grace() -> None:
    """A child that does not listen is ended all the same."""
    lifeline = Lifeline()
    child = _start(lifeline, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")

    lifeline.close()

    assert child.wait(20) == 1


def test_a_process_without_a_parent_descriptor_watches_nothing() -> None:
    """No option, no thread."""
    before = threading.active_count()

    end_with_parent(None)

    assert threading.active_count() == before
