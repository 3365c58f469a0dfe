"""The commands of deployments, endpoints and rollouts, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from noria.cli.main import main


@dataclass(frozen=True, slots=True)
class Done:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read what it printed."""
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def noria(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give what runs a command on the workspace."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(folder))

    def run(*arguments: str) -> Done:
        code = main(list(arguments))
        written = capsys.readouterr()
        return Done(code, written.out, written.err)

    return run


def test_a_version_is_deployed_and_shown(noria: Run) -> None:
    """From the deployment to the list, for people and as JSON."""
    made = noria("deploy", "flowers@1", "--to", "live", "--json")
    shown = noria("endpoints", "show", "live", "--json").json()
    listed = noria("endpoints", "list")

    assert (made.code, made.json()["status"]) == (0, "promoted")
    assert shown["endpoint"]["shares"] == [{"version": 1, "weight": 1.0}]
    assert shown["stats"] == []
    assert "flowers@1 100%" in listed.out
    assert "flowers@1 100%" in noria("endpoints", "show", "live").out


def test_a_canary_without_a_server_says_that_it_waits(noria: Run) -> None:
    """It is on record, and goes on when a server runs."""
    noria("deploy", "flowers@1")
    made = noria(
        "deploy", "flowers@2", "--to", "flowers", "--strategy", "canary", "--weight", "0.3", "--bake-s", "5"
    )
    (found,) = [r for r in noria("rollouts", "list", "--json").json()["items"] if r["status"] == "running"]

    assert made.code == 0
    assert "noria up" in made.err
    assert found["steps"] == [{"weight": 0.3, "bake_s": 5.0, "min_requests": 100}]


def test_a_rollout_is_paused_resumed_and_ended(noria: Run) -> None:
    """Every operation has its command, and the reason is kept."""
    noria("deploy", "flowers@1")
    rollout = noria("deploy", "flowers@2", "--strategy", "canary", "--json").json()["id"]

    assert noria("rollouts", "pause", rollout, "--reason", "lunch", "--json").json()["reason"] == "lunch"
    assert noria("rollouts", "resume", rollout, "--json").json()["status"] == "running"
    shown = noria("rollouts", "show", rollout)
    assert "waits for" in shown.out
    assert "No model server serves this endpoint" in " ".join(shown.out.split())
    assert noria("rollouts", "abort", rollout, "--json").json()["status"] == "rolled_back"
    refused = noria("rollouts", "promote", rollout)
    assert (refused.code, "has ended" in refused.err) == (1, True)
    assert noria("rollouts", "show", rollout, "--json").json()["check"]["waits_for"] == []


def test_the_way_back_is_one_command(noria: Run) -> None:
    """And the history tells of both ways."""
    noria("deploy", "flowers@1")
    noria("deploy", "flowers@2")

    back = noria("endpoints", "rollback", "flowers", "--reason", "slow", "--json").json()
    history = noria("endpoints", "history", "flowers", "--json").json()["items"]

    assert (back["from_version"], back["to_version"], back["reason"]) == (2, 1, "slow")
    assert [(r["from_version"], r["to_version"]) for r in history] == [(2, 1), (1, 2), (None, 1)]
    assert "slow" in noria("endpoints", "history", "flowers").out


def test_a_promotion_by_hand_moves_the_alias(noria: Run) -> None:
    """Without a control loop too."""
    noria("deploy", "flowers@1", "--alias", "champion")
    rollout = noria("deploy", "flowers@2", "--strategy", "canary", "--alias", "champion", "--json").json()[
        "id"
    ]

    noria("rollouts", "promote", rollout)

    assert noria("deploy", "flowers@champion", "--json").json()["to_version"] == 2


def test_an_endpoint_is_deleted_on_request_only(noria: Run) -> None:
    """`--yes` says that it is meant."""
    noria("deploy", "flowers@1")

    assert noria("endpoints", "delete", "flowers", "--yes").code == 0
    assert noria("endpoints", "list", "--json").json()["items"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["deploy", "flower@1"], 1, "Did you mean `flowers`"),
        (["deploy", "flowers@9"], 1, "has no version 9"),
        (["deploy", "flowers@1", "--strategy", "yolo"], 2, "Choose `replace`, `canary`"),
        (["deploy", "flowers@1", "--strategy", "canary", "--weight", "1.5"], 2, "weight"),
        (["endpoints", "show", "nowhere"], 1, "There is no endpoint `nowhere`"),
        (["rollouts", "show", "nothing"], 1, "There is no rollout `nothing`"),
        (["rollouts"], 2, "list"),
        (["serve", "flowers", "--host", "192.0.2.1"], 2, "--token-file"),
        (["serve", "--token-file", "/nowhere"], 2, "cannot be read"),
    ],
)
def test_mistakes_are_named_with_their_mend(noria: Run, arguments: list[str], code: int, words: str) -> None:
    """Exit code 1 for what is not there, 2 for what was mistyped."""
    done = noria(*arguments)

    assert done.code == code, done
    assert words in " ".join((done.out + done.err).split())


def test_keys_are_made_listed_and_revoked(noria: Run) -> None:
    """The secret is written once; afterwards a list shows whose keys there are, and which were ended."""
    noria("deploy", "flowers@1", "--to", "live")
    made = noria("endpoints", "keys", "create", "live", "shop", "--rate", "50", "--burst", "10")
    again = noria("endpoints", "keys", "create", "live", "shop")
    shown = noria("endpoints", "keys", "list", "live").out
    unknown = noria("endpoints", "keys", "revoke", "live", "shopp")
    revoked = noria("endpoints", "keys", "revoke", "live", "shop")
    (key,) = noria("endpoints", "keys", "list", "live", "--json").json()["items"]

    assert made.out.startswith("noria_endpoint_")
    assert again.code == 1
    assert "shop" in shown
    assert made.out.strip() not in shown
    assert "shop" in unknown.err
    assert revoked.code == 0
    assert (key["rate_per_s"], key["burst"], key["revoked_at"] is None) == (50.0, 10, False)
    assert noria("endpoints", "keys", "create", "live", "x", "--rate", "-1").code != 0


def test_the_captured_share_is_shown_and_changed(noria: Run) -> None:
    """All of it, until somebody says otherwise."""
    noria("deploy", "flowers@1", "--to", "live")

    assert "100.0%" in noria("endpoints", "capture", "live").out
    assert noria("endpoints", "capture", "live", "0.25", "--json").json() == {"share": 0.25}
    assert "25.0%" in noria("endpoints", "capture", "live").out
    assert noria("endpoints", "capture", "live", "2").code == 2
