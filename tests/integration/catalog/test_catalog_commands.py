"""`noria catalog`, as a person and as a program use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import noria
from noria.cli.main import main
from noria.core.config import load_settings
from noria.core.workspace import open_workspace

Command = Callable[..., str]


@pytest.fixture
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write two records and give their ids."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    with open_workspace(load_settings()) as workspace:
        return [
            noria.choose(
                model,
                candidates={"forest": {"accuracy": 0.97}, "linear": {"accuracy": 0.91}},
                choice="forest",
                reason=reason,
                workspace=workspace,
            ).id
            for model, reason in (("digits", "higher accuracy"), ("rankings", "handles gaps"))
        ]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of the command line that checks the exit code and gives stdout."""

    def call(*arguments: str, code: int = 0) -> str:
        assert main(list(arguments)) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return call


def test_records_are_listed_and_filtered(ids: list[str], command: Command) -> None:
    """Newest first; a subject narrows the list."""

    def listed(*arguments: str) -> list[str]:
        return [item["id"] for item in json.loads(command("catalog", "list", "--json", *arguments))["items"]]

    assert listed() == ids[::-1]
    assert listed("--subject", "model:digits") == ids[:1]
    assert listed("--kind", "remedy") == []
    assert ids[0] in command("catalog", "list")


def test_a_record_tells_its_story(ids: list[str], command: Command) -> None:
    """Markdown when nobody watches, the record itself as JSON."""
    text = command("catalog", "show", ids[0])

    assert text.startswith("# Which candidate becomes `digits`?")
    assert "## Choice: forest\n\nhigher accuracy" in text
    assert json.loads(command("catalog", "show", ids[0], "--json"))["choice"] == "forest"


def test_records_are_found_by_words(ids: list[str], command: Command) -> None:
    """All words must be there, in any case of letters and anywhere in the story."""

    def found(*words: str) -> list[str]:
        return [item["id"] for item in json.loads(command("catalog", "search", "--json", *words))["items"]]

    assert found("forest") == ids[::-1]
    assert found("GAPS", "forest") == ids[1:]
    assert found("gaps", "digits") == []


def test_an_unknown_record_is_a_failure(ids: list[str], command: Command) -> None:
    """The id is named, with where to look."""
    assert "`nope`" in command("catalog", "show", "nope", code=1)
