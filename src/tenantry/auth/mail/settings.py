"""How mail is sent, under the names of Supabase Auth: with the prefix GOTRUE_ first, then bare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from tenantry.auth.mail.message import valid_address
from tenantry.errors import SettingsError

Tls = Literal["auto", "starttls", "tls", "none"]
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
TEMPLATE_NAMES = ("CONFIRMATION", "INVITE", "MAGIC_LINK", "RECOVERY", "EMAIL_CHANGE", "REAUTHENTICATION")


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The server that mail is given to.

    Attributes:
        tls: `auto`: TLS at once on port 465, else STARTTLS if the server offers it, and always where a password is sent.
        sender: the address in From.
        timeout: seconds for each step of a delivery.
    """

    host: str
    port: int
    sender: str
    sender_name: str = ""
    user: str = ""
    password: str = field(repr=False, default="")
    tls: Tls = "auto"
    timeout: float = 10.0

    @property
    def tls_at_once(self) -> bool:
        return self.tls == "tls" or (self.tls == "auto" and self.port == 465)

    @property
    def start_tls(self) -> bool | None:
        """Whether to upgrade the connection; None: if the server offers it."""
        if self.tls_at_once or self.tls == "none":
            return False
        if self.tls == "starttls" or (self.user and self.host not in _LOOPBACK):
            return True
        return None


@dataclass(frozen=True, slots=True)
class MailSettings:
    """
    Attributes:
        smtp: None: no mail can be sent.
        templates: files that replace built-in templates, by the name of the template; subjects likewise.
        folder: a folder of templates that replace built-in ones.
    """

    smtp: SmtpSettings | None
    templates: Mapping[str, Path]
    subjects: Mapping[str, str]
    folder: Path | None = None


def read_mail_settings(values: Mapping[str, str]) -> MailSettings:
    """
    Raises:
        SettingsError: a value is not possible. The password is never shown.
    """
    templates = {}
    for name in TEMPLATE_NAMES:
        path = _get(values, f"MAILER_TEMPLATES_{name}")
        if path.startswith(("http://", "https://")):
            raise SettingsError(
                f"GOTRUE_MAILER_TEMPLATES_{name} is an address of the web. Templates are read from files.",
                hint="Save the template in a file, and give the path of the file.",
            )
        if path:
            templates[name] = Path(path.removeprefix("file://"))
    subjects = {name: text for name in TEMPLATE_NAMES if (text := _get(values, f"MAILER_SUBJECTS_{name}"))}
    folder = values.get("TENANTRY_AUTH_MAIL_TEMPLATES", "")
    return MailSettings(_smtp(values), templates, subjects, Path(folder) if folder else None)


def _smtp(values: Mapping[str, str]) -> SmtpSettings | None:
    host = _get(values, "SMTP_HOST")
    if not host:
        return None
    port, timeout = _get(values, "SMTP_PORT") or "587", values.get("TENANTRY_AUTH_SMTP_TIMEOUT") or "10"
    sender = _get(values, "SMTP_ADMIN_EMAIL")
    tls = values.get("TENANTRY_AUTH_SMTP_TLS") or "auto"
    user, password = _get(values, "SMTP_USER"), _get(values, "SMTP_PASS")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise SettingsError("GOTRUE_SMTP_PORT is no port.")
    if not valid_address(sender):
        raise SettingsError(
            "GOTRUE_SMTP_ADMIN_EMAIL is not an e-mail address.", hint="It is the address that mail comes from."
        )
    if tls not in ("auto", "starttls", "tls", "none"):
        raise SettingsError("TENANTRY_AUTH_SMTP_TLS must be auto, starttls, tls or none.")
    try:
        seconds = float(timeout)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 300:
        raise SettingsError("TENANTRY_AUTH_SMTP_TIMEOUT must be a number of seconds, 300 at most.")
    if bool(user) != bool(password):
        raise SettingsError("GOTRUE_SMTP_USER and GOTRUE_SMTP_PASS must both be given, or neither.")
    if user and tls == "none" and host not in _LOOPBACK:
        raise SettingsError(
            "GOTRUE_SMTP_PASS would be sent in clear: TENANTRY_AUTH_SMTP_TLS is none.", hint="Use starttls or tls."
        )
    return SmtpSettings(
        host,
        int(port),
        sender,
        _get(values, "SMTP_SENDER_NAME"),
        user=user,
        password=password,
        tls=cast("Tls", tls),
        timeout=seconds,
    )


def _get(values: Mapping[str, str], name: str) -> str:
    return values.get(f"GOTRUE_{name}") or values.get(name) or ""
