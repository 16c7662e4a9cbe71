"""Delivery by SMTP. Failures say whether another try can help, and never hold an address, a code or what the server said."""

from __future__ import annotations

import ssl
from typing import Protocol

import aiosmtplib

from tenantry.auth.mail.message import Mail
from tenantry.auth.mail.settings import SmtpSettings


class MailFailed(Exception):
    """A mail could not be delivered.

    Attributes:
        reason: for logs: the kind of failure and the reply's code.
        temporary: another try may succeed.
    """

    def __init__(self, reason: str, *, temporary: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.temporary = temporary


class MailSender(Protocol):
    async def send(self, message: Mail) -> None:
        """Deliver a mail, or raise MailFailed."""
        ...


class SmtpSender:
    """Gives each mail to an SMTP server, over a connection of its own."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings

    async def send(self, message: Mail) -> None:
        """
        Raises:
            MailFailed
        """
        given = self._settings
        try:
            built = message.as_message(given.sender, given.sender_name)
        except (ValueError, UnicodeError) as error:
            raise MailFailed(f"the message cannot be written ({type(error).__name__})", temporary=False) from None
        try:
            await aiosmtplib.send(
                built,
                sender=given.sender,
                recipients=[built["To"].addresses[0].addr_spec],
                hostname=given.host,
                port=given.port,
                username=given.user or None,
                password=given.password or None,
                use_tls=given.tls_at_once,
                start_tls=given.start_tls,
                timeout=given.timeout,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [each.code for each in error.recipients]
            raise MailFailed(
                f"recipient refused ({', '.join(map(str, codes))})", temporary=all(400 <= code < 500 for code in codes)
            ) from None
        except aiosmtplib.SMTPResponseException as error:
            # A refusal of 5xx stays a refusal: a wrong password too, which many tries would only block.
            raise MailFailed(f"{type(error).__name__} ({error.code})", temporary=400 <= error.code < 500) from None
        except ssl.SSLCertVerificationError as error:
            raise MailFailed(f"TLS: {error.verify_message}", temporary=False) from None
        except aiosmtplib.SMTPNotSupported:
            raise MailFailed(
                "the server lacks what the mail or the settings need (SMTPNotSupported)", temporary=False
            ) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise MailFailed(f"TLS: {cause.verify_message}", temporary=False) from None
            # The bare class is what the library raises if the server offers no STARTTLS.
            lacking = type(error) is aiosmtplib.SMTPException
            reason = (
                "no TLS at the server, or no way to sign in there"
                if lacking
                else f"no delivery ({type(error).__name__})"
            )
            raise MailFailed(reason, temporary=not lacking) from None
