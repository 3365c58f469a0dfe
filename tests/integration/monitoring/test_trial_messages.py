"""`noria monitors test`: a real mail server and a real web server get a trial message, and what they said is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from noria.cli.main import main
from support.other_side import other_side, say
from support.ports import free_port
from support.postbox import postbox

TOML = """
[workspace]
url = ".noria"

[outbound]
allow = ["127.0.0.1"]

[mail]
host = "127.0.0.1"
port = {mail_port}
security = "none"

[alerts.receivers.ana]
to = "mailto:ana@example.org"

[alerts.receivers.chat]
to = "http://127.0.0.1:{hook_port}/chat"
form = "slack"

[alerts.receivers.gone]
to = "http://127.0.0.1:{dead_port}/hook"
"""


def test_each_receiver_gets_a_trial_message_and_its_outcome_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two take it; the third is not there, which the exit code says; who mistypes a name is told the key to write."""
    monkeypatch.chdir(tmp_path)
    with postbox() as (box, mail_port), other_side(say(200)) as hook:
        ports = {"mail_port": mail_port, "hook_port": hook.port, "dead_port": free_port()}
        (tmp_path / "noria.toml").write_text(TOML.format(**ports))
        assert main(["monitors", "test", "--json"]) == 1
        found = json.loads(capsys.readouterr().out)
        assert main(["monitors", "test", "chat"]) == 0
        assert main(["monitors", "test", "cat"]) == 1
        assert main(["monitors", "test", "night watch"]) == 1

    errors = {item["receiver"]: item.get("error") for item in found["items"]}
    assert set(errors) == {"ana", "chat", "gone"}
    assert (errors["ana"], errors["chat"]) == (None, None)
    assert "refused" in errors["gone"].lower()
    assert [mail["To"] for mail in box.mails] == ["ana@example.org"]
    printed = capsys.readouterr()
    assert "taken" in printed.out
    assert "Did you mean `chat`?" in printed.err
    assert "[alerts.receivers.cat]" in printed.err
    assert '[alerts.receivers."night watch"]' in printed.err
