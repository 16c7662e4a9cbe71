"""Sends a one-time link by mail, at once, for the commands of administrators."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from tenantry.auth.errors import MailNotSent
from tenantry.auth.mail import MailFailed, MailTemplates, SmtpSender, read_mail_settings
from tenantry.auth.users.links import LinkSettings, OneTimeLink


@dataclass(frozen=True, slots=True)
class _LinkMail:
    kind: str
    to: str
    code: str
    link: str
    values: Mapping[str, object]


class LinkMailer:
    """Mail as the settings have it; made before a link is, so that wrong settings change nothing."""

    def __init__(self, values: Mapping[str, str], links: LinkSettings) -> None:
        """
        Raises:
            MailNotSent: no mail server is set.
            SettingsError
        """
        settings = read_mail_settings(values)
        if settings.smtp is None:
            raise MailNotSent(
                "No mail server is set. Nothing was changed.",
                hint="Set GOTRUE_SMTP_HOST, or print the link instead of mailing it.",
            )
        self._sender = SmtpSender(settings.smtp)
        self._templates = MailTemplates(settings)
        self._links = links

    def send(self, made: OneTimeLink) -> None:
        """
        Raises:
            MailNotSent: the mail server did not take it. The link works nevertheless.
        """
        more = {
            "email": made.email,
            "site_url": self._links.site,
            "redirect_to": self._links.site,
            "token_hash": made.token_hash,
        }
        mail = self._templates.render(_LinkMail(made.kind, made.email, made.code, made.link, more))
        try:
            asyncio.run(self._sender.send(mail))
        except MailFailed as error:
            raise MailNotSent(
                f"The mail was not sent: {error.reason}.",
                hint="Check the mail server, and run the command again: it makes a new link.",
            ) from None
