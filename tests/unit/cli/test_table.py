"""The root's static table against the commands themselves."""

from __future__ import annotations

from typing import Any

import pytest
from typer.core import TyperGroup

from noria.cli.main import find, root_help
from noria.cli.running import load
from noria.cli.table import ALIASES, COMMANDS, NOUNS, Command

EVERYTHING = (*COMMANDS, *NOUNS)


def leaves(program: Any, name: str) -> list[tuple[str, Any]]:
    """Give every command below a program, with the words that call it."""
    if not isinstance(program, TyperGroup):
        return [(name, program)]
    return [leaf for word, inner in program.commands.items() for leaf in leaves(inner, f"{name} {word}")]


def test_names_are_taken_once() -> None:
    """Commands, things and aliases share one list of names."""
    names = [command.name for command in EVERYTHING]

    assert len(set(names)) == len(names)
    assert not set(ALIASES) & set(names)
    assert set(ALIASES.values()) <= set(names)


def test_a_command_is_found_by_name_and_by_alias() -> None:
    """And nothing else is."""
    assert find("runs") is find("runs") is not None
    assert find("datasets") == find("data")
    assert find("nope") is None


def test_the_root_help_lists_everything_in_one_screen() -> None:
    """Each name with its line, none wider than a terminal."""
    lines = root_help().splitlines()

    assert all(
        any(line.split() and line.split()[0] == c.name and c.help in line for line in lines)
        for c in EVERYTHING
    )
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 52


@pytest.mark.parametrize("command", EVERYTHING, ids=lambda command: command.name)
class TestEach:
    """Every line of the table, whether its room is built or not."""

    def test_its_target_exists_and_says_the_same(self, command: Command) -> None:
        """The line of the root's help is the command's own."""
        program = load(command)
        said = (program.help or "").split("\n\n")[0].strip().rstrip(".")

        assert said == command.help

    def test_commands_do_and_things_hold_commands(self, command: Command) -> None:
        """`noria run` runs; `noria runs` lists, shows, compares; `noria import` says from what."""
        holds = command in NOUNS or command.name in ("import", "decide")

        assert isinstance(load(command), TyperGroup) == holds

    def test_every_command_and_option_has_help(self, command: Command) -> None:
        """A sentence that begins with a capital and has no full stop of its own making."""
        found = leaves(load(command), command.name)

        assert found
        for name, leaf in found:
            assert leaf.help, f"`noria {name}` has no help"
            assert leaf.help[0].isupper(), f"`noria {name}`: {leaf.help}"
            for parameter in leaf.params:
                if not getattr(parameter, "hidden", False):
                    assert getattr(parameter, "help", None), f"`noria {name}`: `{parameter.name}` has no help"

    def test_no_command_installs_completion(self, command: Command) -> None:
        """It would complete for a program called `noria data`."""
        for name, leaf in [*leaves(load(command), command.name), (command.name, load(command))]:
            options = [option for parameter in leaf.params for option in parameter.opts]
            assert "--install-completion" not in options, name

    def test_what_lists_or_shows_speaks_json(self, command: Command) -> None:
        """`--json` on every command that reads."""
        for name, leaf in leaves(load(command), command.name):
            if name.split()[-1] in (
                "list",
                "show",
                "log",
                "versions",
                "windows",
                "alerts",
                "compare",
                "verify",
                "events",
            ):
                options = [option for parameter in leaf.params for option in parameter.opts]
                assert "--json" in options, f"`noria {name}`"
