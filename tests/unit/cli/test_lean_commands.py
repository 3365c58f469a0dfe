"""What is typed most is read without Typer, and means the same."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noria.cli.lean_commands import COMMANDS, LeanCommand, read_values
from noria.cli.main import find
from noria.cli.running import load


@cache
def typers(words: tuple[str, str]) -> Any:
    """Give what Typer makes of a command."""
    command = find(words[0])
    assert command is not None
    program: Any = load(command, words[1])
    return program.commands[words[1]]


@pytest.mark.parametrize("words", list(COMMANDS), ids=" ".join)
def test_the_table_has_what_typer_has(words: tuple[str, str]) -> None:
    """Each command with its arguments, options and flags, their parameters and their kinds; nothing is left out."""
    known, lean = typers(words), COMMANDS[words]
    module, _, name = lean.target.partition(":")
    arguments = [each for each in known.params if each.param_type_name == "argument"]
    options = [each for each in known.params if each.param_type_name == "option"]
    texts = [each for each in options if not each.is_flag]
    flags = [each for each in options if each.is_flag]

    assert (known.callback.__module__, known.callback.__name__) == (module, name)
    assert [each.name for each in arguments] == list(lean.arguments)
    assert sum(each.required for each in known.params) == lean.n_required
    assert all(each.required for each in arguments[: lean.n_required])
    assert [each.nargs for each in arguments] == [1] * (len(arguments) - lean.takes_rest) + [
        -1
    ] * lean.takes_rest
    assert {opt: each.name for each in texts for opt in each.opts} == lean.options
    assert {
        opt: (each.name, value)
        for each in flags
        for value, opts in ((True, each.opts), (False, each.secondary_opts))
        for opt in opts
    } == lean.flags
    kinds = {each.name: each.type_descriptor.annotation for each in [*arguments, *texts]}
    assert {name for name, kind in kinds.items() if kind is Path} == lean.paths
    assert {kind for name, kind in kinds.items() if name not in lean.paths} <= {str, list[str]}
    assert not any(each.envvar or each.multiple or each.is_eager for each in options)


def words_of(command: LeanCommand) -> st.SearchStrategy[list[str]]:
    """Give lines, most of them good."""
    usual = ["a", "b/c", "x@1", "-", "--", "", "-x", "--help", "--json=1", "-wd", "--no"]
    return st.lists(st.sampled_from([*command.options, *command.flags, *usual, "a", "b"]), max_size=6)


@pytest.mark.parametrize("words", list(COMMANDS), ids=" ".join)
@given(data=st.data())
def test_a_line_means_what_it_means_to_typer(words: tuple[str, str], data: st.DataObject) -> None:
    """Whatever is read here is read so by Typer; the rest is left to it."""
    lean, known = COMMANDS[words], typers(words)
    line = data.draw(words_of(lean))

    values = read_values(lean, line)

    if values is not None:
        context = known.make_context("x", list(line))
        said = {name: value for name, value in context.params.items() if name in values}
        assert said == values
        defaults = {name: each.default for name, each in signature(known.callback).parameters.items()}
        left = {name: value for name, value in context.params.items() if name not in values}
        assert {name: None if value == () else value for name, value in left.items()} == {
            name: defaults[name] for name in left
        }


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["--help"],
        ["data", "more", "than", "enough"],
        ["--name", "-n", "data"],
        ["data", "--nam", "x"],
        ["data", "--name=x"],
        ["data", "-mwords"],
        ["data", "--json", "--json"],
        ["data", "--name"],
        ["--", "data"],
        [""],
    ],
    ids=" ".join,
)
def test_what_is_not_plain_is_left_to_typer(line: list[str]) -> None:
    """Help, mistakes, and other ways to write what can be written plainly."""
    assert read_values(COMMANDS["data", "add"], line) is None


LINES = [
    ["add", "data", "--name", "d", "--json"],
    ["status", "--json"],
    ["status", "nothing"],
    ["status", "nothing", "--json"],
    ["status", "--check"],
    ["add"],
    ["push", "d"],
]


def test_commands_say_the_same_either_way(tmp_path: Path) -> None:
    """The same words, on the same stream, with the same exit code."""

    def said(program: Sequence[str], place: Path) -> list[tuple[int, str, str]]:
        (place / "data").mkdir(parents=True)
        (place / "data" / "a").write_text("a")
        found = []
        for line in [["list"], *LINES]:
            if "--check" in line:
                (place / "data" / "b").write_text("b")
            done = subprocess.run(
                [*program, "data", *line], check=False, cwd=place, capture_output=True, text=True, timeout=60
            )
            found.append((done.returncode, done.stdout, done.stderr))
        return found

    lean = said([str(Path(sys.executable).with_name("noria"))], tmp_path / "lean")
    full = said([sys.executable, "-m", "noria.cli"], tmp_path / "full")

    for line, one, other in zip(LINES, lean[1:], full[1:], strict=True):
        hidden = [tuple(hide(str(each)) for each in found) for found in (one, other)]
        assert hidden[0] == hidden[1], line
    assert {one[0] for one in lean} == {0, 1, 2}


NOT_FOR_SHORT_COMMANDS = {
    *("alembic", "asyncio", "difflib", "hashlib", "inspect", "json", "logging", "numpy", "polars", "rich"),
    *("shutil", "sqlalchemy", "tempfile", "tomllib", "typer", "typing_extensions"),
}


def test_short_commands_import_what_they_need(tmp_path: Path) -> None:
    """To tell what changed, to link packs into a folder and to write files takes less than to import these would."""
    noria = str(Path(sys.executable).with_name("noria"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("a")
    lines = [
        ["add", "data"],
        ["remote", "add", "r", "remote"],
        ["status"],
        ["push"],
        ["checkout", "data", "o"],
    ]
    imported = []
    for line in [["list"], *lines]:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", noria, "data", *line, "-w", "w"],
            check=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        imported.append({row.rpartition("|")[2].strip() for row in done.stderr.splitlines()})

    for line, names in zip(lines[2:], imported[3:], strict=True):
        # The list of so few files is put into a pack for the remote, which goes beside that of the files.
        used = {"logging", "shutil"} if line == ["push"] else set()
        assert names & NOT_FOR_SHORT_COMMANDS <= used
        assert "noria.core.config" in names


def hide(text: str) -> str:
    """Leave out what differs between two runs: times and folders."""
    return re.sub(r'"(id|at|created_at)":"[^"]*"|/[^ `"]*/(lean|full)', "…", text)
