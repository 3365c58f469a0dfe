"""Who is told of `noria run`, by a real mail server and a real receiver."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from noria.cli.main import main
from noria.core.config import load_settings
from noria.pipelines.run_notices import signing_secret
from noria.pipelines.schedules.signing import SignatureInvalid, verify
from support.other_side import other_side, say
from support.postbox import postbox

FLOW = """
from pathlib import Path
from noria import pipeline, step


@step(cache=False)
def work(note: str) -> str:
    text = Path(note).read_text()
    if text == "bad":
        raise ValueError("password=hunter22 is wrong")
    return text


@pipeline
def daily(note: str, extra: int = 0) -> str:
    return work(note)
"""


def test_the_first_failure_and_the_recovery_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not the second failure, nor the second success, nor what was refused; a receiver that fails changes no run."""
    monkeypatch.chdir(tmp_path)
    note = tmp_path / "note"
    (tmp_path / ".noria").mkdir()
    (tmp_path / "daily_flow.py").write_text(FLOW)
    with postbox() as (box, port), other_side(say(410)) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/told"
        (tmp_path / "noria.toml").write_text(
            f'[notify]\nto = ["mailto:ana@example.org", "{url}"]\n'
            f'[mail]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\n'
            '[outbound]\nallow = ["127.0.0.1"]\n'
        )
        codes = []
        for text in ("good", "bad", "bad", "good", "good"):
            note.write_text(text)
            codes.append(main(["run", "daily_flow:daily", "-p", f"note={note}"]))
        monkeypatch.setenv("NORIA_NOTIFY_SECRET", "whsec_c2hvcnQ=")
        codes.append(main(["run", "daily_flow:daily", "-p", f"note={note}"]))
        monkeypatch.delenv("NORIA_NOTIFY_SECRET")
        codes.append(main(["run", "daily_flow:daily", "-p", f"note={note}", "-p", "extra=x"]))
    failed, recovered = box.mails

    assert codes == [0, 1, 1, 0, 0, 2, 2]
    assert failed["Subject"].startswith("[noria] default/daily_flow:daily failed:")
    assert "hunter22" not in failed["Subject"] + failed.get_content()
    assert "Where it failed:" in failed.get_content()
    assert "noria runs show " in failed.get_content()
    assert "succeeds again, after failing for" in recovered["Subject"]
    assert "2 runs." in recovered.get_content()
    told = [json.loads(body) for *_, body in receiver.requests]
    assert [one["type"] for one in told] == ["pipeline.failure", "pipeline.recovery"]
    assert [one["data"]["n_failures"] for one in told] == [1, 2]
    assert told[0]["data"]["run"] in failed.get_content()
    said = capsys.readouterr().err
    assert f"The notice to `{url}` was not sent: The receiver answered 410" in said
    assert "`NORIA_NOTIFY_SECRET` holds no secret" in said
    assert main(["pipelines", "notify", "--secret"]) == 0
    secret = capsys.readouterr().out.strip()
    for _, _, headers, body in receiver.requests:
        verify(secret, headers, now=datetime.now(UTC), body=body)


def test_calls_are_signed_with_the_secret_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is told is shown without it; a server keeps its key to itself, so there calls are unsigned without it."""
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".noria").mkdir()
    (tmp_path / "daily_flow.py").write_text(FLOW)
    (tmp_path / "note").write_text("bad")
    monkeypatch.setenv("NORIA_NOTIFY_SECRET", secret)
    with other_side(say(204)) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/told"
        (tmp_path / "noria.toml").write_text(f'[notify]\nto = ["{url}"]\n[outbound]\nallow = ["127.0.0.1"]\n')
        assert main(["run", "daily_flow:daily", "-p", f"note={tmp_path / 'note'}"]) == 1
    ((_, _, headers, body),) = receiver.requests
    capsys.readouterr()
    assert main(["pipelines", "notify", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)

    verify(secret, headers, now=datetime.now(UTC), body=body)
    with pytest.raises(SignatureInvalid):
        verify(secret, headers, now=datetime.now(UTC), body=body + b" ")
    assert shown == {"to": [url], "on": ["failure", "recovery"], "signed": True}
    assert signing_secret(load_settings(workspace="https://noria.example", environ={})) is None


def test_an_address_is_checked_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".noria").mkdir()
    (tmp_path / "daily_flow.py").write_text(FLOW)
    (tmp_path / "noria.toml").write_text('[notify]\nto = ["ana"]\n')

    assert main(["run", "daily_flow:daily", "-p", "note=none"]) == 2
    assert "`ana` is nothing that a notice can be sent to" in capsys.readouterr().err
