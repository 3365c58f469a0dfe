"""What was run, without secrets."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from noria.tracking.source import HIDDEN, capture_source, git_state, redact, redact_command


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["train.py", "--lr", "0.1"], "train.py --lr 0.1"),
        (["train.py", "--password", "pw1"], f"train.py --password {HIDDEN}"),
        (["train.py", "--db-password=pw1"], f"train.py --db-password={HIDDEN}"),
        (["train.py", "--api-key", "k", "--epochs", "3"], f"train.py --api-key {HIDDEN} --epochs 3"),
        (["train.py", "--API_KEY=k"], f"train.py --API_KEY={HIDDEN}"),
        (
            ["train.py", "--max-tokens", "512", "--tokenizer=bert"],
            "train.py --max-tokens 512 --tokenizer=bert",
        ),
        (["train.py", "--token", "--verbose"], "train.py --token --verbose"),
        (["noria", "run", "-p", "secret=abc"], f"noria run -p secret={HIDDEN}"),
        (["train.py", "a b"], "train.py 'a b'"),
        (["x", "postgresql://ana:pw@db/runs"], f"x postgresql://{HIDDEN}@db/runs"),
    ],
)
def test_values_of_secret_options_are_hidden(arguments: list[str], shown: str) -> None:
    """The name of the option stays, its value does not; the rest can be copied into a shell."""
    assert redact_command(arguments) == shown


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_" + "a1" * 18,
        "glpat-" + "x" * 20,
        "sk-" + "z" * 40,
        "AKIA" + "Q" * 16,
        "xoxb-123456789012-abc",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_def",
    ],
)
def test_known_shapes_of_secrets_are_hidden(secret: str) -> None:
    """A token is hidden wherever it stands."""
    assert secret not in redact(f"fetching with {secret} now")
    assert secret not in redact_command(["fetch", secret])


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefgh12345678",
        '{"password": "hunter22"}',
        "https://user:hunter22@host/x",
        "AWS_SECRET_ACCESS_KEY=hunter22abcdefgh",
        "token: hunter22",
    ],
)
def test_secrets_in_free_text_are_hidden(text: str) -> None:
    """Error messages are kept with runs; passwords in them are not."""
    redacted = redact(text)

    assert "hunter22" not in redacted
    assert "abcdefgh12345678" not in redacted
    assert HIDDEN in redacted


@pytest.mark.parametrize("text", ["keyboard", "n_tokens", "the secretary left", "max_token_length 5"])
def test_ordinary_words_stay(text: str) -> None:
    """Text without a secret is not changed."""
    assert redact(text) == text


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_state_of_a_repository_is_told(tmp_path: Path) -> None:
    """The commit, and whether a tracked file differs from it; files that git does not know do not count."""
    assert git_state(tmp_path) == (None, None)
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) == (None, False)
    (tmp_path / "a.py").write_text("1")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-qm", "first")
    commit, dirty = git_state(tmp_path)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (commit, dirty) == (head.stdout.strip(), False)
    (tmp_path / "b.py").write_text("new")
    assert git_state(tmp_path)[1] is False
    (tmp_path / "a.py").write_text("2")
    assert git_state(tmp_path)[1] is True


def test_a_source_holds_what_was_passed_in(tmp_path: Path) -> None:
    """Outside a repository there is no commit; the rest is told."""
    source = capture_source(["a.py", "--password", "x"], tmp_path, python="3.12.0", host="h")

    assert (source.git_commit, source.git_dirty) == (None, None)
    assert (source.command, source.python, source.host) == (f"a.py --password {HIDDEN}", "3.12.0", "h")


def test_a_folder_that_is_gone_has_no_state(tmp_path: Path) -> None:
    """A working folder that was deleted is no reason to fail."""
    assert git_state(tmp_path / "gone") == (None, None)
