"""What the root does with arguments, errors and exit codes."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import pytest
import typer

from noria._version import __version__
from noria.cli.main import main
from noria.cli.running import run
from noria.cli.table import Command
from noria.core.errors import Conflict, Corrupt, Invalid, NotFound

THINGS = typer.Typer(no_args_is_help=True, help="Things")


@THINGS.command("raise")
def _raise(what: str, json: Annotated[bool, typer.Option("--json", help="JSON.")] = False) -> None:
    """Raise something."""
    raise {
        "not-found": NotFound("There is no thing `x`", hint="See `noria things list`", details={"name": "x"}),
        "conflict": Conflict("It is taken"),
        "corrupt": Corrupt("It is broken"),
        "invalid": Invalid("It is wrong"),
        "unforeseen": RuntimeError("the\nsky fell"),
        "silent": ValueError(),
        "exit": typer.Exit(7),
        "system-exit": SystemExit(5),
        "system-exit-text": SystemExit("text"),
        "abort": typer.Abort(),
        "interrupt": KeyboardInterrupt(),
        "pipe": BrokenPipeError(),
        "disk": OSError(28, "No space left on device"),
    }[what]


@THINGS.command("ask")
def _ask() -> None:
    """Ask."""
    typer.confirm("Sure?", abort=True, err=True)


@THINGS.command("list")
def _list(limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 3) -> None:
    """List."""
    typer.echo(f"listed {limit}")


DEEP = typer.Typer(no_args_is_help=True, help="Deep")
THINGS.add_typer(DEEP, name="deep")
HAS = "It has `raise`, `ask`, `list`, `deep`"


@DEEP.command("render")
def _render() -> None:
    """Render."""


@DEEP.command("show")
def _show() -> None:
    """Show."""


ONE = typer.Typer(add_completion=False)


@ONE.command()
def _one(
    target: str, to: Annotated[str | None, typer.Option("--json", metavar="FILE", help="File.")] = None
) -> None:
    """Do one thing, and write a file."""
    raise NotFound(f"There is no `{target}` for {to}")


@contextmanager
def module(**content: typer.Typer) -> Iterator[str]:
    """Make commands importable under a name."""
    made = types.ModuleType("commands_of_a_test")
    vars(made).update(content)
    sys.modules[made.__name__] = made
    try:
        yield made.__name__
    finally:
        del sys.modules[made.__name__]


@pytest.fixture
def things() -> Iterator[Command]:
    with module(app=THINGS) as name:
        yield Command("things", f"{name}:app", "Things")


@pytest.fixture
def one() -> Iterator[Command]:
    with module(app=ONE) as name:
        yield Command("one", f"{name}:app", "One")


class TestRoot:
    """`noria` itself."""

    @pytest.mark.parametrize("arguments", [["--version"], ["-V"]])
    def test_version(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """One line."""
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"noria {__version__}\n"

    @pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
    def test_help(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """On stdout, as it was asked for."""
        assert main(arguments) == 0
        printed = capsys.readouterr()
        assert printed.out.startswith("Usage: noria")
        assert printed.err == ""

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("dat", "Did you mean `noria data`?"),
            ("modles", "Did you mean `noria models`?"),
            ("xyzzy", "See `noria --help`"),
        ],
    )
    def test_an_unknown_command_suggests_the_near_one(
        self, name: str, hint: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Exit code 2, nothing on stdout."""
        assert main([name]) == 2
        printed = capsys.readouterr()
        assert printed.err == f"error: There is no command `{name}`\n\nhint: {hint}\n"
        assert printed.out == ""

    def test_an_unknown_option(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Exit code 2."""
        assert main(["--verbose"]) == 2
        assert "There is no option `--verbose`" in capsys.readouterr().err

    def test_an_unknown_command_in_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A program that reads errors reads this one too."""
        assert main(["dat", "list", "--json"]) == 2
        assert json.loads(capsys.readouterr().err)["code"] == "misused"


class TestErrors:
    """What a command raises."""

    @pytest.mark.parametrize(
        ("what", "code"),
        [
            ("not-found", 1),
            ("conflict", 1),
            ("corrupt", 1),
            ("invalid", 2),
            ("unforeseen", 1),
            ("exit", 7),
            ("system-exit", 5),
            ("system-exit-text", 1),
            ("abort", 1),
            ("disk", 1),
        ],
    )
    def test_exit_codes(self, things: Command, what: str, code: int) -> None:
        """1 failed, 2 misused, and whatever a command says itself."""
        assert run(things, ["raise", what]) == code

    def test_words(self, things: Command, capsys: pytest.CaptureFixture[str]) -> None:
        """What is wrong, a blank line, the mend; on stderr."""
        run(things, ["raise", "not-found"])

        assert capsys.readouterr() == ("", "error: There is no thing `x`\n\nhint: See `noria things list`\n")

    def test_json(self, things: Command, capsys: pytest.CaptureFixture[str]) -> None:
        """The same form as on the wire; nothing on stdout."""
        run(things, ["raise", "not-found", "--json"])
        printed = capsys.readouterr()

        assert printed.out == ""
        assert json.loads(printed.err) == {
            "code": "not_found",
            "message": "There is no thing `x`",
            "hint": "See `noria things list`",
            "details": {"name": "x"},
        }

    def test_what_nobody_foresaw(
        self, things: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One line, and how to see where it comes from; with `NORIA_DEBUG=1` that is shown."""
        run(things, ["raise", "unforeseen"])
        short = capsys.readouterr().err
        monkeypatch.setenv("NORIA_DEBUG", "1")
        run(things, ["raise", "unforeseen"])
        long = capsys.readouterr().err

        assert short.startswith("error: RuntimeError: the sky fell\n\nhint: ")
        assert "NORIA_DEBUG=1" in short
        assert "Traceback" not in short
        assert "Traceback" in long
        assert long.endswith(short)

    def test_what_says_nothing_is_named(self, things: Command, capsys: pytest.CaptureFixture[str]) -> None:
        """By its type."""
        run(things, ["raise", "silent", "--json"])

        assert json.loads(capsys.readouterr().err)["message"] == "ValueError"

    def test_a_room_that_cannot_be_imported(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Is an error like any other."""
        assert run(Command("x", "noria.no_such_room:app", "X"), []) == 1
        assert "no_such_room" in capsys.readouterr().err

    def test_an_option_that_takes_a_file_does_not_ask_for_json(
        self, one: Command, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """`noria demo --json FILE` tells its errors in words."""
        assert run(one, ["a", "--json", "figures.json"]) == 1
        assert capsys.readouterr().err == "error: There is no `a` for figures.json\n"

    @pytest.mark.parametrize("what", ["interrupt", "pipe"])
    def test_what_the_root_settles_passes(self, things: Command, what: str) -> None:
        """Interrupts and readers that leave are the root's affair."""
        expected = KeyboardInterrupt if what == "interrupt" else BrokenPipeError
        with pytest.raises(expected):
            run(things, ["raise", what])

    def test_a_question_without_an_answer(
        self, things: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where nobody can be asked, nothing is done and the flag that answers is named."""
        import io

        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        assert run(things, ["ask"]) == 1
        assert "`--yes`" in capsys.readouterr().err


class TestMisuse:
    """Command lines that cannot be read: exit code 2 and the mend."""

    @pytest.mark.parametrize(
        ("arguments", "message", "hint"),
        [
            (
                ["lst"],
                "`noria things` has no command `lst`",
                f"Did you mean `noria things list`? {HAS}; see `noria things --help`",
            ),
            (["xyzzy"], "`noria things` has no command `xyzzy`", f"{HAS}; see `noria things --help`"),
            (
                ["deep", "rander"],
                "`noria things deep` has no command `rander`",
                "Did you mean `noria things deep render`? It has `render`, `show`; see `noria things deep --help`",
            ),
            (
                ["list", "--limt", "3"],
                "`noria things list` has no option `--limt`",
                "Did you mean `--limit`?",
            ),
            (["list", "-x"], "`noria things list` has no option `-x`", "See `noria things list --help`"),
            (["raise"], "Missing argument 'what'", "See `noria things raise --help`"),
            (["list", "more"], "Got unexpected extra argument(s) (more)", "See `noria things list --help`"),
        ],
    )
    def test_words(
        self,
        things: Command,
        arguments: list[str],
        message: str,
        hint: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """What is wrong, and what was probably meant."""
        assert run(things, arguments) == 2
        assert capsys.readouterr() == ("", f"error: {message}\n\nhint: {hint}\n")

    @pytest.mark.parametrize("limit", ["0", "many", ""])
    def test_a_value_that_does_not_fit_names_its_option(
        self, things: Command, limit: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Out of range, or of the wrong type."""
        assert run(things, ["list", "--limit", limit]) == 2
        assert "--limit" in capsys.readouterr().err

    def test_json(self, things: Command, capsys: pytest.CaptureFixture[str]) -> None:
        """With `--json`, misuse is told in JSON too."""
        assert run(things, ["raise", "--json"]) == 2
        assert json.loads(capsys.readouterr().err)["code"] == "misused"

    def test_a_thing_without_a_command_shows_its_help(
        self, things: Command, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """And says by the exit code that nothing was done."""
        assert run(things, []) == 2
        assert "list" in capsys.readouterr().out

    def test_help_of_a_command(self, things: Command, capsys: pytest.CaptureFixture[str]) -> None:
        """Is plain text."""
        assert run(things, ["list", "--help"]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith("Usage: noria things list")
        assert "\x1b" not in printed
