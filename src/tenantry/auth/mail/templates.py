"""Mails from Jinja templates. Owners replace them one by one, by a file or a folder, also with the simple fields of Supabase's templates.

Names in templates are those of Supabase Auth: Token (the code), ConfirmationURL (the link), TokenHash, SiteURL, RedirectTo, Email,
NewEmail, SendingTo and Data (the user's own metadata). `{{ .Token }}` means the same as `{{ Token }}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    ChainableUndefined,
    ChoiceLoader,
    DictLoader,
    PackageLoader,
    Template,
    TemplateError,
    meta,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tenantry.auth.mail.message import Mail, MailRequested, header_text
from tenantry.auth.mail.settings import MailSettings
from tenantry.errors import SettingsError


@dataclass(frozen=True, slots=True)
class _Kind:
    """
    Attributes:
        file: begins the names of the template's files; in capitals it is the name that Supabase Auth's settings have.
    """

    file: str
    subject: str


KINDS: Mapping[str, _Kind] = {
    "signup": _Kind("confirmation", "Confirm your e-mail address"),
    "invite": _Kind("invite", "You have been invited"),
    "magiclink": _Kind("magic_link", "Your sign-in code"),
    "recovery": _Kind("recovery", "Reset your password"),
    "email_change": _Kind("email_change", "Confirm your new e-mail address"),
    "reauthentication": _Kind("reauthentication", "Your confirmation code"),
}
"""Every mail that the server sends, by its kind."""

_GO_FIELD = re.compile(r"\{\{-?\s*\.([A-Za-z]\w*(?:\.\w+)*)\s*-?\}\}")
_FIELDS = {
    "Token": "123456",
    "ConfirmationURL": "https://app.example/verify?token=abc",
    "TokenHash": "abc",
    "SiteURL": "https://app.example",
    "RedirectTo": "https://app.example/welcome",
    "Email": "someone@mail.example",
    "NewEmail": "new@mail.example",
    "SendingTo": "someone@mail.example",
    "Data": {},
}
"""The names that templates may use, with values for a trial when they are loaded."""


@dataclass(frozen=True, slots=True)
class _Parts:
    subject: Template
    text: Template
    html: Template


class MailTemplates:
    """All templates, checked when they are loaded: a mistake stops the server's start, not the first mail."""

    def __init__(self, settings: MailSettings | None = None) -> None:
        """
        Raises:
            SettingsError: a file cannot be read, is no template, or uses a name that does not exist.
        """
        given = settings or MailSettings(None, {}, {})
        own = _own_files(given)
        loader = ChoiceLoader([DictLoader(own), PackageLoader(__package__, "templates")])
        html, text = _environment(loader, html=True), _environment(loader, html=False)
        self._parts = {}
        for name, kind in KINDS.items():
            subject = given.subjects.get(kind.file.upper(), kind.subject)
            try:
                parts = _Parts(
                    text.from_string(_from_go(subject)),
                    text.get_template(f"{kind.file}.txt.j2"),
                    html.get_template(f"{kind.file}.html.j2"),
                )
                _check_names(text, _from_go(subject))
                for part in (parts.subject, parts.text, parts.html):
                    part.render(_FIELDS)
            except TemplateError as error:
                where = f"{getattr(error, 'name', None) or kind.file}, line {getattr(error, 'lineno', None) or '?'}"
                raise SettingsError(
                    f"A template for mails cannot be used ({where}): {error.message}.",
                    hint="Templates are written in Jinja; of Go's templates only fields such as {{ .Token }} are understood.",
                ) from None
            self._parts[name] = parts

    def render(self, request: MailRequested) -> Mail:
        """
        Raises:
            KeyError: the kind is none of KINDS.
        """
        parts, values = self._parts[request.kind], request.values
        fields: dict[str, Any] = {
            "Token": request.code,
            "ConfirmationURL": request.link,
            "TokenHash": values.get("token_hash", ""),
            "SiteURL": values.get("site_url", ""),
            "RedirectTo": values.get("redirect_to", ""),
            "Email": values.get("email", request.to),
            "NewEmail": values.get("new_email", ""),
            "SendingTo": request.to,
            "Data": values.get("data") or {},
        }
        return Mail(
            request.kind,
            request.to,
            header_text(parts.subject.render(fields)),
            parts.text.render(fields),
            parts.html.render(fields),
        )


def _environment(loader: BaseLoader, *, html: bool) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=loader, autoescape=html, undefined=ChainableUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _own_files(settings: MailSettings) -> dict[str, str]:
    """Read the templates that replace built-in ones, by the built-in one's name."""
    files = {f"{name.lower()}.html.j2": path for name, path in settings.templates.items()}
    if settings.folder is not None:
        if not settings.folder.is_dir():
            raise SettingsError(f"TENANTRY_AUTH_MAIL_TEMPLATES: {settings.folder} is not a folder.")
        known = {f"{kind.file}.{suffix}" for kind in KINDS.values() for suffix in ("html.j2", "txt.j2")}
        found = {path.name: path for path in settings.folder.glob("*.j2")}
        if unknown := sorted(found.keys() - known - {"base.html.j2"}):
            raise SettingsError(
                f"{settings.folder / unknown[0]} replaces no template.", hint=f"There are {', '.join(sorted(known))}."
            )
        files = {**found, **files}
    return {name: _read(path) for name, path in files.items()}


def _read(path: Path) -> str:
    try:
        text = _from_go(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(f"The template for mails {path} cannot be read: {problem}.") from None
    try:
        _check_names(_environment(DictLoader({}), html=True), text)
    except TemplateError as error:
        raise SettingsError(
            f"{path}, line {getattr(error, 'lineno', None) or '?'}: {error.message}.",
            hint="Templates are written in Jinja; of Go's templates only fields such as {{ .Token }} are understood.",
        ) from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error.message}", hint=error.hint) from None
    return text


def _from_go(text: str) -> str:
    return _GO_FIELD.sub(r"{{ \1 }}", text)


def _check_names(environment: ImmutableSandboxedEnvironment, text: str) -> None:
    unknown = meta.find_undeclared_variables(environment.parse(text)) - _FIELDS.keys()
    if unknown:
        raise SettingsError(
            f"A template for mails uses {sorted(unknown)[0]!r}, which does not exist.",
            hint=f"There are {', '.join(_FIELDS)}.",
        )
