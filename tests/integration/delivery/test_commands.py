"""`noria webhooks`, as a person types it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from noria.cli.main import main
from support.other_side import other_side, say


@dataclass(frozen=True, slots=True)
class Done:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def noria(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give what runs a command in a project that may call this machine."""
    (tmp_path / "noria.toml").write_text('[workspace]\nurl = "w"\n\n[outbound]\nallow = ["127.0.0.1"]\n')
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main(["webhooks", *arguments])
        written = capsys.readouterr()
        return Done(code, written.out, written.err)

    return run


def test_a_webhook_is_made_changed_tried_and_removed(noria: Run) -> None:
    """Each command says what it did; the secret is read from standard input and never printed."""
    with other_side(say(200, b"thanks")) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        made = noria(
            "create", "ci", url, "-e", "model_version.created", "--secret", "--json", stdin="s3cret\n"
        )
        webhook = json.loads(made.out)["id"]
        shown = noria("show", webhook)
        tried = noria("test", webhook, "-e", "prompt.created")
    refused = noria("test", webhook)
    changed = noria("update", webhook, "--name", "other", "--disable", "--no-secret", "--json")
    listed = noria("list")
    deliveries = noria("deliveries", webhook, "--json")
    gone = noria("delete", webhook, "--yes")

    assert made.code == shown.code == tried.code == changed.code == gone.code == 0
    assert "s3cret" not in made.out + made.err + shown.out
    assert "model_version.created" in shown.out
    assert "thanks" in tried.out
    assert "x-mlflow-signature" in receiver.requests[0][2]
    assert refused.code == 1
    assert "cannot be reached" in refused.out
    body = json.loads(changed.out)
    assert (body["name"], body["status"], body["has_secret"]) == ("other", "disabled", False)
    assert webhook in listed.out
    assert json.loads(deliveries.out) == {"items": [], "next": None}
    assert noria("show", webhook).code == 1


def test_events_that_are_none_are_told_with_those_that_are(noria: Run) -> None:
    """A misspelt event, and none at all, are mistakes with their mend."""
    misspelt = noria("create", "ci", "http://h/", "-e", "model.created")
    none = noria("create", "ci", "http://h/")

    assert misspelt.code == none.code == 2
    assert "`registered_model.created`" in misspelt.err
    assert "needs an event" in none.err
