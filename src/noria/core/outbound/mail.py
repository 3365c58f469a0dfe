"""Mail over SMTP, to the one server that the settings name.

The server's address is checked as that of every other call is: one on this machine or in a private network is spoken
to only where `[outbound]` `allow` names it. Whatever the server does, a mail takes no longer than its deadline.
"""

from __future__ import annotations

import enum
import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

from noria.core.clock import Clock
from noria.core.config import Section
from noria.core.errors import ConfigInvalid, Failed, Invalid, Unavailable
from noria.core.outbound.addresses import read_rules
from noria.core.outbound.entities import OutboundSection

if TYPE_CHECKING:
    from noria.core.outbound.connecting import Deadline, Resolve

PASSWORD_VARIABLE = "NORIA_MAIL_PASSWORD"  # noqa: S105 - the name of the variable
MAX_SUBJECT_CHARS = 200
MAX_TEXT_CHARS = 64 * 1024
_PASSING = range(400, 500)


class MailSecurity(enum.StrEnum):
    """How the way to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class MailSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[mail]`: the server that takes the mail of this workspace.

    Attributes
    ----------
    host
        Without one no mail is sent.
    port
        Usually 587 with `starttls`, 465 with `tls`.
    security
        `starttls`, `tls`, or `none` for a server on this machine.
    sender
        Address that mail comes from.
    username
        With `NORIA_MAIL_PASSWORD`, if the server asks for it.
    """

    host: str | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    security: MailSecurity = MailSecurity.STARTTLS
    sender: str = "noria@localhost"
    username: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail of plain text.

    Attributes
    ----------
    id
        The same where it is sent again, so that a reader can tell the two for one.
    """

    to: str
    subject: str
    text: str
    id: str


class MailRefused(Failed):
    """The mail server does not take a mail, and will not take it later."""

    code = "mail_refused"


class MailPostponed(Unavailable):
    """The mail server does not take a mail now."""

    code = "mail_postponed"


class Mailer:
    """Sends mail. Thread-safe; holds no connection between mails.

    Parameters
    ----------
    password
        For `username`; of the environment of the server.
    resolve, trust
        As for `Outbound`.
    """

    def __init__(
        self,
        section: MailSection,
        outbound: OutboundSection,
        clock: Clock,
        *,
        password: str | None = None,
        resolve: Resolve | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._section = section
        self._outbound = outbound
        self._clock = clock
        self._password = password
        self._resolve = resolve
        self._trust = trust

    def send(self, mail: Mail) -> None:
        """Hand a mail to the server.

        Raises
        ------
        ConfigInvalid
            If the settings name no server, or a user without a password.
        Invalid
            If an address cannot be one.
        AddressRefused
            If the server's address is not public, and the settings do not allow it.
        MailRefused
            If the server does not take it.
        MailPostponed, Unavailable
            If it may do so later, or cannot be reached.
        """
        from noria.core.outbound.connecting import Deadline

        host = self._section.host
        if host is None:
            raise ConfigInvalid(
                "No mail server is named", hint='Add `[mail]` `host = "…"` to `noria.toml` of the server'
            )
        message = self._message(mail)
        deadline = Deadline(self._clock, self._outbound.timeout_s)
        try:
            self._hand_over(host, message, deadline)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            raise _refusal(code, text) from error
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPNotSupportedError as error:
            raise MailRefused(
                f"The mail server `{host}` cannot do what `[mail]` asks for: {error}",
                hint="See `security` and `username` in `[mail]`",
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            deadline.left_s()
            raise Unavailable(
                f"The mail server `{host}` did not answer as it should: {error}", hint="Try again later"
            ) from error

    def _hand_over(self, host: str, message: EmailMessage, deadline: Deadline) -> None:
        connected = self._connect(host, deadline)
        # Each wait of the library begins anew; this one does not.
        ending = threading.Timer(deadline.left_s(), _shut, (connected,))
        ending.daemon = True
        ending.start()
        try:
            with _Speaker(self._secured(connected, host), host) as server:
                if self._section.security is MailSecurity.STARTTLS:
                    server.starttls(context=self._context())
                if self._section.username is not None:
                    server.login(self._section.username, self._secret())
                server.send_message(message)
        finally:
            ending.cancel()
            connected.close()

    def _connect(self, host: str, deadline: Deadline) -> socket.socket:
        from noria.core.outbound.connecting import connect_checked, system_addresses

        rules = read_rules(self._outbound.allow)
        return connect_checked(host, self._section.port, rules, self._resolve or system_addresses, deadline)

    def _secured(self, connected: socket.socket, host: str) -> socket.socket:
        if self._section.security is not MailSecurity.TLS:
            return connected
        return self._context().wrap_socket(connected, server_hostname=host)

    def _context(self) -> ssl.SSLContext:
        from noria.core.outbound.client import default_trust

        return self._trust or default_trust()

    def _secret(self) -> str:
        if self._password is None:
            raise ConfigInvalid(
                f"`[mail]` names the user `{self._section.username}`, whose password is not known",
                hint=f"Set `{PASSWORD_VARIABLE}` where the server starts",
            )
        return self._password

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = check_address(self._section.sender)
        message["To"] = check_address(mail.to)
        message["Subject"] = " ".join(mail.subject.split())[:MAX_SUBJECT_CHARS]
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = f"<{mail.id}@noria>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text[:MAX_TEXT_CHARS])
        return message


def check_address(address: str) -> str:
    """Refuse what is no address of mail.

    Raises
    ------
    Invalid
        The message has it.
    """
    try:
        if not address.isascii() or any(char <= " " or char in ",;<>" for char in address):
            raise ValueError("it holds a character that none may have")
        parsed = Address(addr_spec=address)
        if not parsed.username or not parsed.domain:
            raise ValueError("it has no `@`")
    except (ValueError, IndexError) as error:
        raise Invalid(
            f"`{address[:100]}` is not an address of mail: {error}", hint="Such as `ana@example.org`"
        ) from error
    return address


class _Speaker(smtplib.SMTP):
    """Speaks SMTP on a socket that is connected already."""

    def __init__(self, connected: socket.socket, host: str) -> None:
        super().__init__(local_hostname="localhost")
        self.sock = connected
        self._host = host  # the name that STARTTLS asks for a certificate of
        code, text = self.getreply()
        if code != 220:
            self.close()
            raise smtplib.SMTPConnectError(code, text)


def _refusal(code: int, text: bytes | str) -> MailPostponed | MailRefused:
    said = text.decode(errors="replace") if isinstance(text, bytes) else text
    shown = f"The mail server answered {code}: {said[:300]}"
    if code in _PASSING:
        return MailPostponed(shown, hint="It is tried again")
    return MailRefused(shown, hint="See `[mail]` in `noria.toml` of the server, and the address")


def _shut(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
