"""The e-mail on completion: sent where a mail server is configured, else written to a file."""

from __future__ import annotations

import os
import time
from pathlib import Path

import noria


def deliver(subject: str, text: str, folder: Path, *, to: str | None) -> str:
    """Send a message, or write it to a file; give what was done, in words.

    The server is that of `[mail]` in the `noria.toml` of the working folder; the password of its user is in
    `NORIA_MAIL_PASSWORD`.

    Parameters
    ----------
    folder
        Where the file is put if nothing is sent.
    to
        Address; nothing is sent without.

    Raises
    ------
    NoriaError
        If the mail server does not take the message.
    """
    from noria.core.clock import SystemClock
    from noria.core.outbound.entities import OutboundSection
    from noria.core.outbound.mail import PASSWORD_VARIABLE, Mail, Mailer, MailSection

    settings = noria.load_settings(folder=Path.cwd())
    section = settings.section("mail", MailSection)
    if to is None or section.host is None:
        place = folder / "completed.txt"
        place.write_text(f"Subject: {subject}\n\n{text}", encoding="utf-8")
        missing = (
            "no address is given (`--mail-to`)"
            if to is None
            else "`noria.toml` names no mail server (`[mail]`)"
        )
        return f"Nothing is sent, since {missing}; the message is in `{place}`"
    outbound = settings.section("outbound", OutboundSection)
    mailer = Mailer(section, outbound, SystemClock(), password=os.environ.get(PASSWORD_VARIABLE))
    mailer.send(Mail(to=to, subject=subject, text=text, id=f"rankings-{time.time_ns()}"))
    return f"Sent to {to}"
