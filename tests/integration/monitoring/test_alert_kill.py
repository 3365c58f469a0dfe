"""Alerts of a real server that is killed between raising and telling: each is told, by one notice to each receiver."""

from __future__ import annotations

import json
import random
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from noria.core.config import load_settings
from noria.core.workspace import open_workspace
from noria.monitoring.alerts.entities import NoticeStatus
from noria.monitoring.alerts.service import Alerts
from noria.monitoring.entities import AlertKind, Look, NewAlert
from noria.monitoring.receivers.entities import Trial
from noria.monitoring.service import Monitors
from noria.pipelines.schedules.signing import verify
from support.other_side import other_side, say
from support.postbox import postbox
from support.processes import Processes, RunningProcess
from support.waiting import wait_until

TOML = """
[workspace]
url = ".noria"

[outbound]
allow = ["127.0.0.1"]

[mail]
host = "127.0.0.1"
port = {mail_port}
security = "none"

[alerts]
wait_s = 0

[alerts.receivers.ana]
to = "mailto:ana@example.org"

[alerts.receivers.hook]
to = "http://127.0.0.1:{hook_port}/hook"

[alerts.receivers.chat]
to = "http://127.0.0.1:{hook_port}/chat"
form = "slack"
kinds = ["drift"]
"""

ALERT = NewAlert(
    kind=AlertKind.QUALITY,
    version=1,
    figures={"mean": 0.8},
    sentence="Accuracy of version 1 is 0.800 (95% interval 0.750 to 0.850); it was 0.970",
    onset_position=1,
    last_position=2,
    since=datetime(2030, 1, 1, tzinfo=UTC),
)


def raise_alert(folder: Path, endpoint: str) -> None:
    """Report a look that found a drop."""
    found = Look(
        from_position=0,
        from_label_position=0,
        position=10,
        label_position=0,
        version=1,
        windows=[],
        detector=None,
        quality=None,
        alerts=[ALERT],
    )
    with open_workspace(load_settings(environ={}, folder=folder)) as workspace:
        workspace.service(Monitors).watch("default", endpoint)
        workspace.service(Monitors).record("default", endpoint, found)


@pytest.mark.parametrize("n_turns", [1, pytest.param(20, marks=pytest.mark.soak)])
def test_a_server_that_is_killed_tells_each_alert_once(
    processes: Processes, noria_command: tuple[str, ...], tmp_path: Path, n_turns: int
) -> None:
    """By mail and by a signed call; a receiver that was away is told when it is back, under the same identifier."""
    chance = random.Random(20260922)
    away = True

    def answer(handler: BaseHTTPRequestHandler) -> None:
        say(503 if away else 200)(handler)

    def start() -> RunningProcess:
        child = processes.start([*noria_command, "server", "--port", "0"], name="server", cwd=tmp_path)
        child.wait_for_output("Noria answers at ")
        return child

    with postbox() as (box, mail_port), other_side(answer) as hook:
        (tmp_path / "noria.toml").write_text(TOML.format(mail_port=mail_port, hook_port=hook.port))
        server = start()
        for turn in range(n_turns):
            raise_alert(tmp_path, f"digits{turn}")
            time.sleep(chance.random() * 2 if n_turns > 1 else 0)  # the moment of the kill, by chance
            server.kill()
            server = start()
            away = False  # longer, and the pauses between attempts would outlast the test
        with open_workspace(load_settings(environ={}, folder=tmp_path)) as workspace:
            alerts = workspace.service(Alerts)

            def is_told() -> bool:
                groups = alerts.groups("default", limit=200).items
                return all(
                    sorted(notice.receiver for notice in group.notices) == ["ana", "hook"]
                    and all(notice.status is NoticeStatus.SENT for notice in group.notices)
                    for group in groups
                )

            wait_until(is_told, timeout_s=120, message=lambda: str(alerts.groups("default").items))
            secret = alerts.secret("hook").secret
            trial = alerts.test(Trial(receiver="chat")).items
            receivers = {one.name: one for one in alerts.receivers().items}
        taken = [call for call in hook.requests if call[1] == "/hook"]

    mails = {mail["Message-ID"]: mail for mail in box.mails}
    calls = {headers["webhook-id"]: json.loads(body) for _, _, headers, body in taken}
    asked = {turn: f"digits{turn}" for turn in range(n_turns)}
    assert len(mails) == len(calls) == n_turns
    assert {call["data"]["alerts"][0]["endpoint"] for call in calls.values()} == set(asked.values())
    assert {call["type"] for call in calls.values()} == {"alert.opened"}
    for _, _, headers, body in taken:
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        assert verify(secret, headers, now=at, body=body) in calls
    first = box.mails[0]
    assert first["Subject"].startswith("[noria] default/digits")
    assert "noria decisions list --project default" in first.get_content()
    assert [one.error for one in trial] == [None]
    assert (receivers["hook"].place, receivers["hook"].n_sent) == ("http://127.0.0.1", n_turns)
    assert "blocks" in json.loads(hook.requests[-1][3])
