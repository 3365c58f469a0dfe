"""Steps in any language: what may be declared, what the command sees, and what is said when it fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from noria.core.errors import Failed, Invalid
from noria.pipelines.shell import ShellStepInvalid, shell_step

sort = shell_step(
    "sort", ["sort", "{table}", "-o", "{ordered}"], inputs=["table"], outputs={"ordered": "o.txt"}
)
split = shell_step(  # noqa: S604 - what it is for
    "split",
    'head -n {n} {table} > {first}; tail -n +2 {table} > {rest}; echo "{{n}}" "$KEPT" "$LOST"',
    inputs=["table", "n"],
    outputs={"first": "a/first.txt", "rest": "rest.txt"},
    env={"KEPT": "kept"},
    shell=True,
)


def test_a_command_takes_paths_and_values_and_gives_the_paths_of_what_it_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Placeholders stand for paths and values; of the environment it sees what is declared; its output is passed on."""
    monkeypatch.setenv("LOST", "lost")
    table = tmp_path / "a table.txt"
    table.write_text("2\n1\n")
    made = split(sort(table), n=1)
    assert (made.first.read_text(), made.rest.read_text()) == ("1\n", "2\n")
    assert capsys.readouterr().out == "{n} kept \n"
    assert split.declared == {"first": "Path", "rest": "Path"}


def test_the_folder_of_a_command_is_gone_with_the_last_path_into_it(tmp_path: Path) -> None:
    """Nothing is left behind."""
    (tmp_path / "t").write_text("1\n")
    made = sort(tmp_path / "t")
    place = Path(str(made))
    assert place.exists()
    del made
    assert not place.parent.exists()


@pytest.mark.parametrize(
    ("command", "more", "told"),
    [
        (["no-such-program"], {}, "`no-such-program` of the step `bad` cannot be started"),
        (["sh", "-c", "echo why; exit 3"], {}, "ended with 3: why"),
        (["sh", "-c", "kill -9 $$"], {}, "was killed by SIGKILL"),
        (["cat", "beside.txt"], {}, "add files to `files`"),
        (
            ["sh", "-c", "touch other"],
            {"outputs": {"page": "page.html"}},
            "did not write `page.html`.*It left: other",
        ),
        (["true"], {"inputs": ["data"]}, "is a `list`, which no command can take"),
    ],
)
def test_a_command_that_fails_says_why(command: list[str], more: dict[str, Any], told: str) -> None:
    """The message has the command, how it ended, its last line and a mend."""
    bad = shell_step("bad", command, **more)
    with pytest.raises((Failed, Invalid)) as caught:
        bad(**({"data": [1]} if "inputs" in more else {}))
    assert re.search(told, f"{caught.value.message} {caught.value.hint}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"command": "sort x"}, r"\['sort', 'x'\]"),
        ({"command": ["sort", "x"], "shell": True}, "'sort x'"),
        ({"command": []}, "Write its words"),
        ({"command": ["sort", "{tabel}"], "inputs": ["table"]}, r"Did you mean `\{table\}`"),
        ({"command": ["x", "{y}"]}, r"write `\{\{y\}\}`"),
        ({"command": ["x"], "inputs": ["a", "a"]}, "two inputs or outputs `a`"),
        ({"command": ["x"], "inputs": ["files"]}, "`files` is taken"),
        ({"command": ["x"], "outputs": {"a": "../a"}}, "leads out of its folder"),
        ({"command": ["x"], "files": ["/etc/passwd"]}, "leads out of its folder"),
        ({"name": "a b", "command": ["x"]}, "no name for a step"),
    ],
)
def test_what_cannot_be_declared_is_refused_with_the_mend(arguments: dict[str, Any], told: str) -> None:
    """Every mistake in a declaration is told where it is made."""
    with pytest.raises(ShellStepInvalid) as caught:
        shell_step(**{"name": "bad", **arguments})
    assert re.search(told, f"{caught.value.message} {caught.value.hint}")
