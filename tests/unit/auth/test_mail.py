"""Mails: what they say, what cannot get into them, and their delivery by SMTP to a server in this process."""

from __future__ import annotations

import asyncio
import email
import email.policy
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiosmtpd.smtp import SMTP
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tenantry.auth.mail import (
    KINDS,
    Mail,
    Mailer,
    MailFailed,
    MailOutcome,
    MailTemplates,
    RetryDelays,
    SmtpSender,
    SmtpSettings,
    read_mail_settings,
    valid_address,
)
from tenantry.auth.mail.catcher import MailCatcher, catching
from tenantry.errors import SettingsError

TO, CODE, LINK = (
    "ada@mail.example",
    "482913",
    "https://auth.example/verify?token=1f&type=signup&redirect_to=https://app.example",
)
QUICK = RetryDelays((0.0, 0.0))


@dataclass(frozen=True)
class Request:
    kind: str = "signup"
    to: str = TO
    code: str = CODE
    link: str = LINK
    values: dict[str, object] = field(
        default_factory=lambda: {"site_url": "https://app.example", "email": TO, "new_email": "new@mail.example"}
    )


def smtp(port: int, **more: Any) -> SmtpSettings:
    return SmtpSettings("127.0.0.1", port, "no-reply@app.example", "Clinic", timeout=5.0, **more)


# -- what mails say ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_each_mail_has_the_code_and_the_link_in_text_and_html(kind: str) -> None:
    mail = MailTemplates().render(Request(kind))
    assert CODE in mail.text and LINK in mail.text
    assert mail.html is not None
    assert CODE in mail.html and LINK.replace("&", "&amp;") in mail.html
    assert CODE not in mail.subject, "subjects are in logs, and on locked screens"
    without = MailTemplates().render(replace(Request(kind), link=""))
    assert CODE in without.text and "http" not in without.text.replace("https://app.example", "")
    assert TO not in repr(mail) and CODE not in repr(mail)


def test_owners_replace_templates_and_subjects(tmp_path: Path) -> None:
    (tmp_path / "invite.html").write_text(
        "<p>Hi {{ .Data.first }}, {{ .Email }}: {{ .ConfirmationURL }} {{ .Token }}</p>"
    )
    folder = tmp_path / "mails"
    folder.mkdir()
    (folder / "confirmation.txt.j2").write_text("Willkommen: {{ Token }}")
    (folder / "base.html.j2").write_text("<h1>Clinic</h1>{% block reason %}{% endblock %}")
    settings = read_mail_settings(
        {
            "GOTRUE_MAILER_TEMPLATES_INVITE": str(tmp_path / "invite.html"),
            "GOTRUE_MAILER_SUBJECTS_INVITE": "Hello {{ .Data.first }}",
            "MAILER_SUBJECTS_CONFIRMATION": "Willkommen",
            "TENANTRY_AUTH_MAIL_TEMPLATES": str(folder),
        }
    )
    templates = MailTemplates(settings)
    data = {"first": "<b>Ada</b>\r\nBcc: eve@mail.example"}
    invite = templates.render(replace(Request("invite"), values={"data": data}))
    assert invite.html is not None and "Hi &lt;b&gt;Ada&lt;/b&gt;" in invite.html and TO in invite.html
    assert "&amp;type=signup" in invite.html
    assert invite.subject == "Hello <b>Ada</b> Bcc: eve@mail.example"
    assert "invited" in invite.text, "the text of another file stays"
    confirmation = templates.render(Request())
    assert (confirmation.subject, confirmation.text) == ("Willkommen", f"Willkommen: {CODE}")
    assert confirmation.html is not None and confirmation.html.startswith("<h1>Clinic</h1>Confirm")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ if .Token }}x{{ end }}", "invite.html"),
        ("{{ Tokn }}", "'Tokn', which does not exist"),
        ("\n{% for %}", "line 2"),
        ("{{ .Password }}", "'Password'"),
    ],
)
def test_a_wrong_template_stops_the_start(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "invite.html").write_text(text)
    settings = read_mail_settings({"GOTRUE_MAILER_TEMPLATES_INVITE": str(tmp_path / "invite.html")})
    with pytest.raises(SettingsError) as caught:
        MailTemplates(settings)
    assert problem in caught.value.message


def test_wrong_settings_are_named_and_the_password_is_not() -> None:
    good = {"GOTRUE_SMTP_HOST": "mail.example", "GOTRUE_SMTP_ADMIN_EMAIL": "a@mail.example"}
    assert read_mail_settings({}).smtp is None
    read = read_mail_settings({**good, "SMTP_USER": "u", "GOTRUE_SMTP_PASS": "secret"}).smtp
    assert read is not None and (read.port, read.start_tls, read.tls_at_once) == (587, True, False)
    assert "secret" not in repr(read)
    assert replace(read, port=465).tls_at_once and not replace(read, port=465).start_tls
    assert replace(read, user="", password="").start_tls is None
    for change, word in [
        ({"SMTP_PORT": "70000"}, "SMTP_PORT"),
        ({"GOTRUE_SMTP_ADMIN_EMAIL": "a@b@c"}, "ADMIN_EMAIL"),
        ({"GOTRUE_SMTP_USER": "u"}, "SMTP_PASS"),
        ({"GOTRUE_SMTP_USER": "u", "GOTRUE_SMTP_PASS": "secret", "TENANTRY_AUTH_SMTP_TLS": "none"}, "in clear"),
        ({"TENANTRY_AUTH_SMTP_TLS": "ssl3"}, "SMTP_TLS"),
        ({"TENANTRY_AUTH_SMTP_TIMEOUT": "nan"}, "TIMEOUT"),
        ({"GOTRUE_MAILER_TEMPLATES_INVITE": "https://app.example/t.html"}, "files"),
    ]:
        with pytest.raises(SettingsError) as caught:
            read_mail_settings({**good, **change})
        assert word in caught.value.message and "secret" not in caught.value.message
    with pytest.raises(SettingsError, match="cannot be read"):
        MailTemplates(read_mail_settings({"MAILER_TEMPLATES_RECOVERY": "/nowhere/file.html"}))


# -- what cannot get into them -----------------------------------------------------------------------------------------

NOT_ADDRESSES = [
    "", "a", "@", "a@", "@b.example", "a@b@c.example", "a b@c.example", "a@b.example\r\nBcc: eve@mail.example", "a@b.example\n",
    "a@b.example,eve@mail.example", "a@b.example;eve@mail.example", "<a@b.example>", "Ada <a@b.example>", '"a b"@c.example',
    "a..b@c.example", ".a@b.example", "a.@b.example", "a@b..example", "a@-b.example", "a@b-.example", "a@[127.0.0.1]", "a@b_c.example",
    "a\x00@b.example", "a@b.example\x00", "a(comment)@b.example", "a@b.example(comment)", "a\u2028b@c.example", "a:b@c.example",
    "x" * 65 + "@b.example", "a@" + ".".join(["b" * 60] * 5), "a@" + "b" * 64 + ".example", "a@b.example.", "\u202eada@b.example",
    "a@b\u2024example", "a\\@b.example",
]  # fmt: skip
ADDRESSES = [
    "a@b.example",
    "a.b+c_d-e@b-c.example",
    "o'neil@b.example",
    "ada@localhost",
    "müller@b.example",
    "a@bücher.example",
    "A@B.EXAMPLE",
]


def test_only_single_addresses_are_addresses() -> None:
    assert [each for each in NOT_ADDRESSES if valid_address(each)] == []
    assert [each for each in ADDRESSES if not valid_address(each)] == []


def test_no_text_adds_a_header_or_a_recipient() -> None:
    evil = "x\r\nBcc: eve@mail.example\n\nbody\x00\x85\u2028Bcc: mallory@mail.example"
    mail = Mail("signup", TO, evil, "text", "<p>html</p>")
    sent = email.message_from_bytes(bytes(mail.as_message("no-reply@app.example", evil)), policy=email.policy.default)
    assert sorted(sent.keys()) == [
        "Auto-Submitted",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Subject",
        "To",
    ]
    assert sent["To"] == TO
    for address in NOT_ADDRESSES:
        with pytest.raises(ValueError, match=r"^not an e-mail address$"):
            replace(mail, to=address).as_message("no-reply@app.example")


# -- delivery ----------------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """An SMTP server that replies to DATA as the test says, one reply for each mail."""

    replies: list[str] = field(default_factory=list)
    got: list[bytes] = field(default_factory=list)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        reply = self.replies.pop(0) if self.replies else "250 OK"
        if reply.startswith("250"):
            self.got.append(envelope.original_content)
        return reply


def with_mailer(
    test: Callable[[Mailer, list[MailOutcome], Server], Awaitable[None]], *replies: str, **more: Any
) -> list[MailOutcome]:
    outcomes: list[MailOutcome] = []
    server = Server(list(replies))

    async def run() -> None:
        listening = await asyncio.get_running_loop().create_server(lambda: SMTP(server), "127.0.0.1", 0)
        async with listening:
            sender = SmtpSender(smtp(listening.sockets[0].getsockname()[1]))
            mailer = Mailer(sender, MailTemplates(), outcome=outcomes.append, **{"delays": QUICK, **more})
            await test(mailer, outcomes, server)
            await mailer.close()

    asyncio.run(run())
    return outcomes


def test_mail_is_retried_while_that_can_help() -> None:
    async def one(mailer: Mailer, outcomes: list[MailOutcome], server: Server) -> None:
        assert mailer.offer(Request())
        assert server.got == [], "offering does not wait"
        while not outcomes:
            await asyncio.sleep(0.005)

    (sent,) = with_mailer(one, "451 busy", "421 busy")
    assert (sent.result, sent.tries, sent.reason) == ("sent", 3, "")
    (failed,) = with_mailer(one, "451 busy", "451 busy", "451 mailbox ada@mail.example busy")
    assert (failed.result, failed.tries, failed.reason) == ("failed", 3, "SMTPDataError (451)")
    (refused,) = with_mailer(one, "550 no ada@mail.example here")
    assert (refused.result, refused.tries, refused.reason) == ("failed", 1, "SMTPDataError (550)")


def test_a_mail_to_an_impossible_address_fails_by_itself() -> None:
    async def both(mailer: Mailer, _outcomes: list[MailOutcome], server: Server) -> None:
        assert mailer.offer(replace(Request(), to="a@b.example\r\nRCPT TO:<eve@mail.example>"))
        assert mailer.offer(Request())
        while not server.got:
            await asyncio.sleep(0.005)

    outcomes = with_mailer(both)
    assert sorted(each.result for each in outcomes) == ["failed", "sent"]
    assert [each.reason for each in outcomes if each.reason] == ["the message cannot be written (ValueError)"]


class Waiting:
    """A sender that holds each mail until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.at_once = self.most = self.sent = 0

    async def send(self, message: Mail) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await self.go.wait()
        finally:
            self.at_once -= 1
        if message.to == "broken@mail.example":
            raise RuntimeError("a defect that quotes broken@mail.example")
        if message.to == "later@mail.example":
            raise MailFailed("busy", temporary=True)
        self.sent += 1


def test_a_full_queue_says_so_and_closing_sends_what_waits(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[MailOutcome] = []

    def hook(outcome: MailOutcome) -> None:
        outcomes.append(outcome)
        raise RuntimeError("a defect of the hook")

    async def run() -> None:
        sender = Waiting()
        mailer = Mailer(sender, MailTemplates(), room=5, at_once=2, delays=RetryDelays((3600.0,)), outcome=hook)
        addresses = ["broken@mail.example", "later@mail.example", TO, TO, TO]
        assert [mailer.offer(replace(Request(), to=each)) for each in addresses] == [True] * 5
        assert not mailer.has_room() and not mailer.offer(Request())
        await asyncio.sleep(0)
        sender.go.set()
        while len(outcomes) < 4:
            await asyncio.sleep(0)
        assert mailer.has_room()
        await mailer.close()  # the one that waits an hour gets its last try now
        assert not mailer.offer(Request())
        assert (sender.most, sender.sent) == (2, 3)

    asyncio.run(run())
    assert sorted((each.result, each.tries, each.reason) for each in outcomes) == [
        ("failed", 1, "unexpected RuntimeError"), ("failed", 2, "busy"), ("sent", 1, ""), ("sent", 1, ""), ("sent", 1, ""),
    ]  # fmt: skip
    assert caplog.messages == ["the hook for outcomes of mails failed"] * 5


def test_what_cannot_be_sent_in_time_is_abandoned_and_logged_without_addresses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        mailer = Mailer(Waiting(), MailTemplates())
        assert mailer.offer(Request("recovery"))
        await asyncio.sleep(0)
        await mailer.close(patience=0.01)

    with caplog.at_level(logging.INFO):
        asyncio.run(run())
    assert caplog.messages == ["mail abandoned: recovery, 1 tries: the server stopped"]


def test_a_dead_mail_server_is_a_temporary_failure() -> None:
    async def run() -> None:
        with pytest.raises(MailFailed) as caught:
            await SmtpSender(smtp(1)).send(MailTemplates().render(Request()))
        assert caught.value.temporary and TO not in caught.value.reason
        # It offers no STARTTLS, so the password is not sent.
        server = await asyncio.get_running_loop().create_server(lambda: SMTP(Server()), "127.0.0.1", 0)
        async with server:
            settings = smtp(server.sockets[0].getsockname()[1], user="u", password="secret", tls="starttls")
            with pytest.raises(MailFailed, match="no TLS") as caught:
                await SmtpSender(settings).send(MailTemplates().render(Request()))
            assert not caught.value.temporary

    asyncio.run(run())


def test_a_certificate_that_nobody_vouches_for_gets_neither_password_nor_mail(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
    pem = built.add_extension(address, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (tmp_path / "cert.pem").write_bytes(pem)
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server = Server()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for tls in (None, context):
            listening = await loop.create_server(lambda: SMTP(server, tls_context=context), "127.0.0.1", 0, ssl=tls)
            async with listening:
                settings = smtp(
                    listening.sockets[0].getsockname()[1], user="u", password="secret", tls="tls" if tls else "starttls"
                )
                with pytest.raises(MailFailed, match="TLS: self-signed certificate") as caught:
                    await SmtpSender(settings).send(MailTemplates().render(Request()))
                assert not caught.value.temporary

    asyncio.run(run())
    assert server.got == []


# -- the catcher -------------------------------------------------------------------------------------------------------


def test_the_catcher_shows_mails_and_runs_nothing_of_them() -> None:
    evil = "<script>alert(1)</script><a href='https://app.example/x'>x</a>"

    async def run() -> None:
        catcher = MailCatcher(keep=3)
        async with catching(catcher) as port:
            sender = SmtpSender(smtp(port))
            for number in range(4):
                mail = MailTemplates().render(replace(Request(), to=f"user{number}@mail.example"))
                await sender.send(replace(mail, html=evil, subject=f"{evil}{number}"))
            await sender.send(MailTemplates().render(replace(Request(), to="müller@bücher.example")))
        transport = httpx.ASGITransport(catcher.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8025") as client:
            found = (await client.get("/api/messages")).json()["messages"]
            assert [each["to"] for each in found] == [
                ["müller@xn--bcher-kva.example"], ["user3@mail.example"], ["user2@mail.example"],
            ]  # fmt: skip
            assert (
                found[1]["codes"] == [CODE]
                and found[1]["links"] == ["https://app.example", LINK]
                and found[1]["html"].strip() == evil
            )
            assert len((await client.get("/api/messages", params={"to": "USER3@mail.example"})).json()["messages"]) == 1
            listed = await client.get("/")
            shown = await client.get(f"/messages/{found[1]['id']}")
            for page in (listed, shown):
                assert page.status_code == 200 and "<script" not in page.text and CODE in page.text
                assert "default-src 'none'" in page.headers["content-security-policy"]
            assert 'sandbox="allow-popups"' in shown.text and f'href="{LINK.replace("&", "&amp;")}"' in shown.text
            inner = await client.get(f"/messages/{found[1]['id']}/html")
            assert inner.text.strip() == evil
            assert inner.headers["content-security-policy"].endswith("sandbox allow-popups")
            assert (await client.get("/messages/1")).status_code == 404, "only the newest are kept"
            assert (await client.get("/", headers={"Host": "rebound.example"})).status_code == 400
            assert (await client.delete("/api/messages")).status_code == 204
            assert (await client.get("/api/messages")).json() == {"messages": []}

    asyncio.run(run())
