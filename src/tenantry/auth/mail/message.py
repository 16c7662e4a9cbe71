"""One mail as a value, and the form of an address. No text from outside can add a header or a recipient."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, make_msgid
from typing import Protocol

# RFC 5321's dot-string of RFC 5322's atext; RFC 6531 adds letters outside ASCII. Quoted local parts and address literals are left out: no
# mail provider gives them out, and other programs read them differently.
_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LONGEST_ADDRESS, _LONGEST_LOCAL, _LONGEST_SUBJECT = 254, 64, 250


class MailRequested(Protocol):
    """What the server asks to be sent.

    Attributes:
        kind: signup, invite, magiclink, recovery, email_change, reauthentication.
        to: the address.
        code: the one-time code.
        link: the address that does the same; empty if there is none.
        values: more for the templates: email, new_email, site_url, redirect_to, data, token_hash.
    """

    @property
    def kind(self) -> str: ...
    @property
    def to(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def link(self) -> str: ...
    @property
    def values(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that is ready to be sent. Its repr shows no address, code or link.

    Attributes:
        html: None: the mail is plain text.
    """

    kind: str
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str | None = field(repr=False, default=None)

    def as_message(self, sender: str, sender_name: str = "") -> EmailMessage:
        """Return the message as it is sent.

        Raises:
            ValueError: an address is not valid.
        """
        policy = SMTP if self.to.isascii() and sender.isascii() else SMTPUTF8
        message = EmailMessage(policy)
        domain = _ascii_address(sender).rpartition("@")[2]
        message["From"] = _header_address(sender, sender_name)
        message["To"] = _header_address(self.to)
        message["Subject"] = header_text(self.subject)
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = make_msgid(domain=domain)
        # RFC 3834: vacation replies and the like stay away.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self.text)
        if self.html is not None:
            message.add_alternative(self.html, subtype="html")
        return message


def valid_address(text: str) -> bool:
    """Whether mail can be addressed so: one recipient, of a form that every mail server reads in the same way."""
    try:
        _ascii_address(text)
    except ValueError:
        return False
    return True


def header_text(text: str) -> str:
    """Return text for one header line: what could end the line becomes a space, and it is not endless."""
    plain = "".join(" " if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") else sign for sign in text)
    return " ".join(plain.split())[:_LONGEST_SUBJECT]


def _header_address(address: str, name: str = "") -> Address:
    local, _, domain = _ascii_address(address).rpartition("@")
    return Address(header_text(name), local, domain)


def _ascii_address(text: str) -> str:
    """Return the address with its domain in ASCII, as DNS has it.

    Raises:
        ValueError: it is not valid. The message does not show it.
    """
    local, at, domain = text.rpartition("@")
    # Characters that stand for others make two texts of one address, and dots that are none.
    if (
        not at
        or text != unicodedata.normalize("NFKC", text)
        or len(local.encode()) > _LONGEST_LOCAL
        or not _LOCAL.fullmatch(local)
    ):
        raise ValueError("not an e-mail address")
    try:
        encoded = domain.encode("idna").decode("ascii") if not domain.isascii() else domain
    except UnicodeError:
        raise ValueError("not an e-mail address") from None
    labels = encoded.split(".")
    if len(local) + 1 + len(encoded) > _LONGEST_ADDRESS or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("not an e-mail address")
    return f"{local}@{encoded}"
