"""The commands of projects, users, tokens and the audit, as a person types them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from noria.cli.main import main
from noria.core.clock import SystemClock
from noria.core.config import load_settings
from noria.core.database.engine import Database
from noria.core.events.sealer import Sealer
from noria.core.events.tables import events
from noria.core.workspace import open_workspace
from noria.tracking.entities import NewRun
from noria.tracking.service import Runs

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Done:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of the workspace."""
    return tmp_path / "workspace"


@pytest.fixture
def noria(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give what runs a command on the workspace, with something on standard input."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(folder))

    def run(*arguments: str, stdin: str = "") -> Done:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main(list(arguments))
        written = capsys.readouterr()
        return Done(code, written.out, written.err)

    return run


@pytest.fixture
def database(folder: Path) -> Iterator[Database]:
    """Give the workspace's database, once a command has made it."""
    opened = Database(f"sqlite:///{folder / 'noria.db'}")
    yield opened
    opened.dispose()


def test_projects_are_made_and_listed(noria: Run) -> None:
    """A made project is in the list, for people and as JSON."""
    made = noria("projects", "create", "energy")
    listed = noria("projects", "list")
    again = noria("projects", "create", "energy")

    assert made.code == 0
    assert "energy" in listed.out
    assert [item["name"] for item in json.loads(noria("projects", "list", "--json").out)["items"]] == [
        "default",
        "energy",
    ]
    assert again.code == 1
    assert "`energy`" in again.err


def test_a_users_password_comes_from_standard_input(noria: Run) -> None:
    """A user is made with the first line of standard input as password, given roles, and removed."""
    made = noria("users", "create", "ali", "--role", "viewer", stdin=f"{PASSWORD}\n")
    noria("projects", "create", "energy")
    given = noria("users", "role", "ali", "engineer", "--in", "energy", "--json")
    taken = noria("users", "role", "ali", "--none", "--json")
    listed = noria("users", "list")
    changed = noria("users", "password", "ali", stdin="another long password\n")
    gone = noria("users", "delete", "ali", "--yes")

    assert (made.code, changed.code, gone.code) == (0, 0, 0)
    assert json.loads(given.out)["project_roles"] == {"energy": "engineer"}
    assert json.loads(taken.out)["role"] is None
    assert "energy: engineer" in listed.out
    assert json.loads(noria("users", "list", "--json").out)["items"] == []
    assert PASSWORD not in made.out + made.err + listed.out


def test_a_password_is_no_option(noria: Run) -> None:
    """A password on the command line would be seen by everyone on the machine; there is no way to give it there."""
    done = noria("users", "create", "ali", "--password", PASSWORD)

    assert done.code == 2
    assert "`--password`" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("users", "create", "ali"),
        ("users", "role", "ali"),
        ("users", "role", "ali", "viewer", "--none"),
        ("users", "role", "ali", "emperor"),
        ("tokens", "create", "ci", "--days", "0"),
        ("projects", "create", "a/b"),
    ],
)
def test_misuse_is_told_apart_from_failure(noria: Run, arguments: tuple[str, ...]) -> None:
    """What is typed wrongly exits with 2 and says what to type."""
    done = noria(*arguments, stdin="short\n")

    assert done.code == 2
    assert done.out == ""
    assert done.err


def test_removing_a_user_is_asked_back(noria: Run) -> None:
    """Without `--yes` nothing is removed unless the question is answered with yes."""
    noria("users", "create", "ali", stdin=f"{PASSWORD}\n")
    kept = noria("users", "delete", "ali", stdin="n\n")
    still = json.loads(noria("users", "list", "--json").out)["items"]

    assert kept.code != 0
    assert [user["name"] for user in still] == ["ali"]


def test_a_tokens_secret_alone_goes_to_standard_output(noria: Run) -> None:
    """`TOKEN=$(noria tokens create ci)` works; the list shows only how the secret begins."""
    made = noria("tokens", "create", "ci", "--role", "viewer", "--in", "default", "--days", "1")
    secret = made.out.strip()
    (token,) = json.loads(noria("tokens", "list", "--json").out)["items"]
    revoked = noria("tokens", "revoke", token["id"])

    assert made.code == 0
    assert secret.startswith("noria_")
    assert "\n" not in secret
    assert secret.startswith(token["prefix"])
    assert (token["project"], token["role"]) == ("default", "viewer")
    assert secret not in noria("tokens", "list").out
    assert revoked.code == 0
    assert json.loads(noria("tokens", "list", "--json").out)["items"] == []


def test_the_audit_tells_who_did_what(noria: Run) -> None:
    """Events are listed in order, and can be asked for by type and subject."""
    noria("projects", "create", "energy")
    noria("users", "create", "ali", stdin=f"{PASSWORD}\n")
    everything = json.loads(noria("audit", "events", "--json").out)["items"]
    users = json.loads(noria("audit", "events", "--type", "user.created", "--json").out)["items"]
    about = noria("audit", "events", "--subject", "project:energy")

    assert [event["type"] for event in everything] == ["project.created", "user.created"]
    assert [event["subject"] for event in users] == ["user:ali"]
    assert "project:energy" in about.out


def test_a_changed_log_fails_the_check(noria: Run, folder: Path, database: Database) -> None:
    """The check exits with 0 while the log holds, and with 1 and the first broken link once it was changed."""
    for name in ("one", "two", "three"):
        noria("projects", "create", name)
    Sealer(database, SystemClock(), folder).tick()
    before = noria("audit", "verify", "--json")
    with database.write() as connection:
        connection.execute(sa.update(events).where(events.c.position == 2).values(actor="nobody"))
    after = noria("audit", "verify", "--json")
    told = noria("audit", "verify")

    assert (before.code, json.loads(before.out)["ok"]) == (0, True)
    assert (after.code, json.loads(after.out)["broken_at"]) == (1, 2)
    assert told.code == 1
    assert "event 2" in told.out


def test_comments_are_said_listed_removed_and_restored(noria: Run, folder: Path) -> None:
    """Each command tells what it did, reads a text from standard input for `-`, and lists in JSON too."""
    with open_workspace(load_settings(workspace=str(folder))) as ws:
        run = ws.service(Runs).create("default", NewRun(experiment="Default"))
    on = f"run:{run.id}"
    added = noria("comments", "add", on, "-", "--json", stdin="from a pipe\n")
    comment_id = json.loads(added.out)["id"]

    assert noria("comments", "add", on, "by hand").code == 0
    assert "from a pipe" in noria("comments", "list", on).out
    assert noria("comments", "edit", comment_id, "changed").code == 0
    assert f"noria comments restore {comment_id}" in noria("comments", "rm", comment_id).out
    texts = [each["text"] for each in json.loads(noria("comments", "list", on, "--json").out)["items"]]
    assert texts == ["by hand"]
    assert noria("comments", "restore", comment_id).code == 0
    limited = noria("comments", "list", on, "--limit", "1")
    assert "by hand" in limited.out
    assert "There are earlier ones" in limited.out + limited.err
    unknown = noria("comments", "add", "ruh:1", "x")
    assert unknown.code == 2
    assert "Did you mean `run`?" in unknown.err
