"""The message at the end of the rankings study."""

from __future__ import annotations

from pathlib import Path

import pytest

from noria.examples.rankings.notice import deliver
from support.postbox import postbox


def test_the_message_is_mailed_where_a_server_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`[mail]` of the working folder names the server, and the address is that of `--mail-to`."""
    monkeypatch.chdir(tmp_path)
    with postbox() as (box, port):
        mail = f'[mail]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\nsender = "noria@example.org"\n'
        (tmp_path / "noria.toml").write_text(mail + '[outbound]\nallow = ["127.0.0.1"]\n')

        said = deliver("Done", "47 of 47\n", tmp_path, to="ana@example.org")

    assert said == "Sent to ana@example.org"
    assert [(mail["To"], mail["Subject"]) for mail in box.mails] == [("ana@example.org", "Done")]
    assert "47 of 47" in box.mails[0].get_content()


@pytest.mark.parametrize(("to", "missing"), [(None, "no address"), ("ana@example.org", "no mail server")])
def test_without_a_server_the_message_is_in_a_file(
    to: str | None, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words say what is missing and where the file is."""
    monkeypatch.chdir(tmp_path)

    said = deliver("Done", "47 of 47\n", tmp_path, to=to)

    assert missing in said
    assert str(tmp_path / "completed.txt") in said
    assert (tmp_path / "completed.txt").read_text() == "Subject: Done\n\n47 of 47\n"
