"""Mail of the sign-in server: rendered from templates, sent by SMTP after the answer, and caught by a web page in development.

settings = read_mail_settings(values)              # names of Supabase Auth: GOTRUE_SMTP_HOST …
mailer = Mailer(SmtpSender(settings.smtp), MailTemplates(settings))
taken = mailer.offer(request)                      # False: there is no room
await mailer.close()                               # sends what waits, for a limited time
"""

from tenantry.auth.mail.mailer import Mailer, MailOutcome, RetryDelays
from tenantry.auth.mail.message import Mail, MailRequested, valid_address
from tenantry.auth.mail.settings import MailSettings, SmtpSettings, read_mail_settings
from tenantry.auth.mail.smtp import MailFailed, MailSender, SmtpSender
from tenantry.auth.mail.templates import KINDS, MailTemplates

__all__ = [
    "KINDS",
    "Mail",
    "MailFailed",
    "MailOutcome",
    "MailRequested",
    "MailSender",
    "MailSettings",
    "MailTemplates",
    "Mailer",
    "RetryDelays",
    "SmtpSender",
    "SmtpSettings",
    "read_mail_settings",
    "valid_address",
]
