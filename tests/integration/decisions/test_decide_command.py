"""`noria decide ENDPOINT`, as a person and as a program use it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from noria.cli.main import main
from noria.decisions.service import Decisions
from support.decisions import PROJECT, Incident, blobs

Command = Callable[..., str]


@pytest.fixture
def command(
    incident: Incident, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Give a caller of the command line that checks the exit code and gives stdout, or stderr where it fails."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(incident.context.settings.workspace))
    monkeypatch.chdir(incident.folder)

    def call(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(list(arguments)) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return call


def test_a_dry_run_explains_itself_and_opens_nothing(incident: Incident, command: Command) -> None:
    """Without labels it says how many are missing, with what each stage saw and weighed; a program gets the same."""
    onset = incident.answer(blobs(80, [0, 1, 2], seed=1)[0])[0]
    told = command("decide", "shop", "--dry-run", "--explain", "--since", str(onset))
    found = json.loads(command("decide", "shop", "--dry-run", "--json", "--since", str(onset)))

    for words in ("40 more labelled rows are needed", "What each stage saw", "posterior", "reality"):
        assert words in told
    assert (found["endpoint"], found["n_labels"], found["remedy"]) == ("shop", 40, "wait")
    assert sum(found["causes"].values()) == pytest.approx(1.0)
    assert {weight["stage"] for weight in found["weights"]} == {
        "prior",
        *(evidence["stage"] for evidence in found["evidence"]),
    }
    assert incident.context.service(Decisions).list(PROJECT).items == []


def test_without_a_dry_run_a_decision_is_opened(incident: Incident, command: Command) -> None:
    """It is the decision that `noria decisions start` opens; an explanation of it is refused with the mend."""
    assert "--dry-run --explain" in command("decide", "shop", "--explain", code=2)
    found = json.loads(command("decide", "shop", "--json"))

    assert [d.id for d in incident.context.service(Decisions).list(PROJECT).items] == [found["id"]]
    assert "shop" in command("decide", "shopp", "--dry-run", code=1)
