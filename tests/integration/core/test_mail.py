"""Mail, handed to a real SMTP server."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from noria.core.clock import SystemClock
from noria.core.errors import ConfigInvalid, Invalid, Unavailable
from noria.core.outbound.addresses import AddressRefused
from noria.core.outbound.connecting import OutOfTime
from noria.core.outbound.entities import OutboundSection
from noria.core.outbound.mail import Mail, Mailer, MailPostponed, MailRefused, MailSection, MailSecurity
from support.ports import free_port
from support.postbox import postbox

HERE = OutboundSection(allow=("127.0.0.1", "mail.test"), timeout_s=10)
MAIL = Mail(to="ana@example.org", subject="It\nfailed: ñandú", text="Why: ≠\n.\nend", id="one")


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Give a server's context with a certificate of `mail.test`, and that of a client that trusts it."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")]),
    )
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mail.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "c.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "k.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "c.pem", folder / "k.pem")
    return server, ssl.create_default_context(cafile=folder / "c.pem")


def mailer(port: int, *, outbound: OutboundSection = HERE, **more: Any) -> Mailer:
    given = {"host": "127.0.0.1", "security": MailSecurity.NONE, **more.pop("section", {})}
    return Mailer(MailSection(port=port, **given), outbound, SystemClock(), **more)


def test_a_mail_arrives_as_it_was_written() -> None:
    """Subject and text come through in any alphabet, and a line end in the subject makes no further header."""
    with postbox() as (box, port):
        mailer(port).send(MAIL)
        with pytest.raises(MailRefused, match="550"):
            mailer(port).send(Mail(to="nobody@example.org", subject="s", text="t", id="two"))
        box.is_busy = True
        with pytest.raises(MailPostponed, match="451"):
            mailer(port).send(MAIL)
        for address in ("ana", "a@b\nBcc: x@y", "a@b, c@d", "<a@b>", ""):
            with pytest.raises(Invalid, match="is not an address of mail"):
                mailer(port).send(Mail(to=address, subject="s", text="t", id="three"))
    (mail,) = box.mails

    assert (mail["To"], mail["Subject"], mail["Message-ID"]) == (
        "ana@example.org",
        "It failed: ñandú",
        "<one@noria>",
    )
    assert mail.get_content().replace("\r\n", "\n").strip() == MAIL.text
    assert MailPostponed.retryable


def test_a_mail_server_inside_is_called_only_where_the_settings_say_so() -> None:
    """One on this machine is refused by default, before a byte is sent; without a server no mail can be sent."""
    with postbox() as (box, port), pytest.raises(AddressRefused):
        mailer(port, outbound=OutboundSection()).send(MAIL)
    assert box.mails == []
    with pytest.raises(ConfigInvalid, match="No mail server"):
        mailer(port, section={"host": None}).send(MAIL)
    with pytest.raises(Unavailable, match="cannot be reached"):
        mailer(free_port()).send(MAIL)


@pytest.mark.parametrize("security", [MailSecurity.STARTTLS, MailSecurity.TLS])
def test_the_way_is_protected(security: MailSecurity, tmp_path: Path) -> None:
    """A password goes only to the server that proves its name, and a server that cannot protect the way gets none."""
    server, trust = certificate(tmp_path)
    logins: list[bytes] = []

    def check(
        _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        logins.append(data.password)
        return AuthResult(success=data.password == b"secret", handled=False)

    tls = {"tls_context": server} if security is MailSecurity.STARTTLS else {"ssl_context": server}
    require = {"require_starttls": True} if security is MailSecurity.STARTTLS else {"auth_require_tls": False}
    section = {"host": "mail.test", "security": security, "username": "noria"}
    named: dict[str, Any] = {"section": section, "resolve": lambda *_: ["127.0.0.1"]}
    with postbox(**tls, **require, authenticator=check) as (box, port):
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            mailer(port, password="secret", **named).send(MAIL)
        with pytest.raises(ConfigInvalid, match="password is not known"):
            mailer(port, trust=trust, **named).send(MAIL)
        assert logins == []
        mailer(port, password="secret", trust=trust, **named).send(MAIL)
        with pytest.raises(MailRefused, match="535"):
            mailer(port, password="wrong", trust=trust, **named).send(MAIL)
    assert len(box.mails) == 1
    with postbox() as (box, port), pytest.raises((MailRefused, Unavailable)):
        mailer(port, password="secret", trust=trust, **named).send(MAIL)
    assert box.mails == []


def test_a_mail_server_that_never_ends_costs_no_more_than_the_deadline() -> None:
    """A server that says a little now and then keeps nobody longer than the settings allow."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b"220-wait\r\n")
                        if stop.wait(0.05):
                            return
                except OSError:
                    return

        stop = threading.Event()
        thread = threading.Thread(target=drip)
        thread.start()
        short = OutboundSection(allow=("127.0.0.1",), timeout_s=0.5)
        try:
            with pytest.raises(OutOfTime):
                mailer(listening.getsockname()[1], outbound=short).send(MAIL)
        finally:
            stop.set()
            thread.join()
