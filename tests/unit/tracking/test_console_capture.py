"""What is printed passes on, and a copy of it is kept: whole lines, without secrets, of bounded size."""

from __future__ import annotations

import contextlib
import io
import stat
import sys
from pathlib import Path

import pytest

from noria.tracking.console_capture import MAX_BYTES, ConsoleLog, Tees
from noria.tracking.redaction import Redactor


@pytest.fixture
def console(tmp_path: Path) -> ConsoleLog:
    return ConsoleLog(tmp_path / "files" / "console.log", Redactor({"API_TOKEN": "zuckerwatte"}))


def heard(console: ConsoleLog, *texts: str) -> str:
    for text in texts:
        console.hear("stdout", text)
    console.write(ending=True)
    return console.content().decode()


def test_what_is_printed_is_told_and_passes_on(
    capsys: pytest.CaptureFixture[str], console: ConsoleLog
) -> None:
    """Both streams are heard, and afterwards they are what they were."""
    before = sys.stdout, sys.stderr
    tees = Tees()
    tees.listen(console.hear)
    sys.stdout.write("out\n")
    sys.stderr.writelines(["er", "r\n"])
    sys.stdout.flush()
    tees.leave(console.hear)
    sys.stdout.write("later\n")
    console.write(ending=True)

    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("out\nlater\n", "err\n")
    assert console.content() == b"out\nerr\n"


def test_several_runs_listen(capsys: pytest.CaptureFixture[str]) -> None:
    """A run inside another hears its part; the outer one hears all."""
    outer: list[str] = []
    inner: list[str] = []
    tees = Tees()
    before = sys.stdout

    def to_outer(_stream: str, text: str) -> None:
        outer.append(text)

    def to_inner(_stream: str, text: str) -> None:
        inner.append(text)

    tees.listen(to_outer)
    sys.stdout.write("1")
    tees.listen(to_inner)
    sys.stdout.write("2")
    tees.leave(to_inner)
    sys.stdout.write("3")
    tees.leave(to_outer)

    assert (outer, inner) == (["1", "2", "3"], ["2"])
    assert sys.stdout is before


def test_a_stream_that_somebody_put_in_place_meanwhile_stays(capsys: pytest.CaptureFixture[str]) -> None:
    """A redirection ends as it began, whoever listened meanwhile."""
    told: list[str] = []

    def listener(_stream: str, text: str) -> None:
        told.append(text)

    tees, elsewhere = Tees(), io.StringIO()
    before = sys.stdout
    with contextlib.redirect_stdout(elsewhere):
        tees.listen(listener)
        sys.stdout.write("inside")
    sys.stdout.write("outside")
    tees.leave(listener)

    assert (elsewhere.getvalue(), told) == ("inside", ["inside"])
    assert sys.stdout is before


def test_the_stream_is_what_it_was_to_those_who_ask(capsys: pytest.CaptureFixture[str]) -> None:
    """Encoding, terminal and buffer are those underneath."""
    tees = Tees()
    encoding, terminal = sys.stdout.encoding, sys.stdout.isatty()

    def listener(_stream: str, _text: str) -> None:
        pass

    tees.listen(listener)
    try:
        assert (sys.stdout.encoding, sys.stdout.isatty()) == (encoding, terminal)
        assert sys.stdout.writable()
    finally:
        tees.leave(listener)


def test_lines_are_kept_whole_however_they_came(console: ConsoleLog) -> None:
    """The last line counts without its end, too."""
    assert heard(console, "a", "b\nc", "\n\nd") == "ab\nc\n\nd\n"


def test_a_progress_bar_leaves_its_last_state(console: ConsoleLog) -> None:
    """A terminal shows no more either."""
    assert heard(console, "\r10%", "\r50%", "\r100%\n", "done\r\n") == "100%\ndone\n"


def test_secrets_are_hidden_although_they_came_in_pieces(console: ConsoleLog) -> None:
    """A line is looked at when it is whole."""
    assert heard(console, "token zucker", "watte; pass", "word=hunter2\n") == "token ***; password=***\n"


def test_the_file_is_for_its_owner(console: ConsoleLog, tmp_path: Path) -> None:
    """Others on the machine do not read along."""
    heard(console, "x\n")

    assert stat.S_IMODE((tmp_path / "files" / "console.log").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700


def test_of_long_output_the_beginning_and_the_end_are_kept(console: ConsoleLog) -> None:
    """What was left out is said, and memory and disk stay bounded."""
    for number in range(3 * MAX_BYTES // 1000):
        console.hear("stdout", f"{number:06d} {'x' * 992}\n")
        if number % 500 == 0:
            console.write()
    kept = heard(console, "the end\n")

    assert len(kept) <= 2 * MAX_BYTES + 2000
    assert kept.startswith("000000 ")
    assert kept.endswith("the end\n")
    assert "bytes are not kept" in kept


def test_a_line_without_an_end_does_not_fill_the_memory(console: ConsoleLog) -> None:
    """Of a line as long as a file, its part is kept."""
    for _ in range(200):
        console.hear("stdout", "x" * 10_000)
        console.write()

    assert len(heard(console, "y\n")) <= 20_001
