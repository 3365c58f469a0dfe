"""Where notices go: to people by mail, to programs by a POST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from noria.core.clock import Clock
from noria.core.config import Settings
from noria.core.errors import Failed, Invalid, Unavailable
from noria.core.outbound.client import Outbound, check_url
from noria.core.outbound.entities import OutboundRequest, OutboundSection
from noria.core.outbound.mail import Mail, Mailer, MailSection, check_address

MAILTO: Final = "mailto:"
TIMEOUT_S: Final = 15.0
_PASSING: Final = frozenset({408, 425, 429})


class NoticeRefused(Failed):
    """The receiver of a notice does not take it."""

    code = "notice_refused"


class NoticePostponed(Unavailable):
    """The receiver of a notice may take it later."""

    code = "notice_postponed"


def check_notice_address(address: str) -> None:
    """Refuse what no notice can be sent to.

    Raises
    ------
    Invalid
        The message has the address.
    """
    if address.startswith(MAILTO):
        check_address(address.removeprefix(MAILTO))
    elif address.startswith(("http://", "https://")):
        check_url(address)
    else:
        raise Invalid(
            f"`{address[:100]}` is nothing that a notice can be sent to",
            hint="Write `mailto:ana@example.org` or `https://host/path`",
        )


def send_mail(settings: Settings, clock: Clock, mail: Mail) -> None:
    """Send a mail by the server that the settings name; raises as `Mailer.send`."""
    section = settings.section("mail", MailSection)
    outbound = settings.section("outbound", OutboundSection)
    Mailer(section, outbound, clock, password=settings.mail_password).send(mail)


def post(settings: Settings, clock: Clock, url: str, *, headers: Mapping[str, str], body: bytes) -> None:
    """Send a notice to a program.

    Raises
    ------
    NoticePostponed, NoticeRefused
        If it answers that it does not take it, now or at all.
    """
    request = OutboundRequest(
        method="POST", url=url, headers=dict(headers), body=body, timeout_s=TIMEOUT_S, cut=True
    )
    answer = Outbound(settings.section("outbound", OutboundSection), clock).send(request)
    if answer.status >= 400:
        kind = NoticePostponed if answer.status in _PASSING or answer.status >= 500 else NoticeRefused
        raise kind(f"The receiver answered {answer.status}")
