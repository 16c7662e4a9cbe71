"""Settings of the sign-in server, under the names that Supabase Auth gives them.

Each setting is read from the environment, then from a file of the form NAME=value. A name counts with the prefix GOTRUE_ first, then
bare: GOTRUE_SITE_URL, SITE_URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from tenantry.errors import SettingsError

PREFIX = "GOTRUE_"

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def _duration(value: Any) -> Any:
    """Read a duration as Go writes it (1h30m, 60s); a bare number counts seconds."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    return timedelta(seconds=float(text)) if re.fullmatch(r"\d+(\.\d+)?", text) else read_duration(text)


def read_duration(text: str) -> timedelta:
    """Read a duration as Go writes it: 1h30m, 60s.

    Raises:
        ValueError: it has another form, or is too long to be a time.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("a duration such as 60s, 5m or 1h30m is expected")
    try:
        return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
    except OverflowError:
        raise ValueError("the duration is too long") from None


def _words(value: Any) -> Any:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


def _named(name: str, *more: str) -> AliasChoices:
    return AliasChoices(PREFIX + name, name, *more)


class SignInSettings(BaseModel):
    """What the sign-in server is told.

    Defaults are those of Supabase Auth, except the limits per address, which count without a proxy's header too.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    # Where it is reached, and what it serves.
    database_url: SecretStr = Field(validation_alias=AliasChoices("DATABASE_URL", "GOTRUE_DB_DATABASE_URL"))
    namespace: str = Field("auth", validation_alias=AliasChoices("DB_NAMESPACE", "GOTRUE_DB_NAMESPACE"))
    pool_size: int = Field(10, ge=1, le=1000, validation_alias=_named("DB_MAX_POOL_SIZE"))
    host: str = Field("127.0.0.1", validation_alias=_named("API_HOST"))
    port: int = Field(9999, ge=0, le=65535, validation_alias=_named("API_PORT", "PORT"))
    external_url: str = Field("", validation_alias=AliasChoices("API_EXTERNAL_URL", "GOTRUE_API_EXTERNAL_URL"))
    site_url: str = Field("http://localhost:3000", validation_alias=_named("SITE_URL"))
    redirect_urls: Words = Field((), validation_alias=_named("URI_ALLOW_LIST"))
    cors_headers: Words = Field((), validation_alias=_named("CORS_ALLOWED_HEADERS"))
    request_seconds: Duration = Field(timedelta(seconds=10), validation_alias=_named("API_MAX_REQUEST_DURATION"))

    # Tokens.
    jwt_lifetime: int = Field(3600, ge=30, le=604800, validation_alias=_named("JWT_EXP"))
    jwt_audience: str = Field("authenticated", validation_alias=_named("JWT_AUD"))
    jwt_issuer: str = Field("", validation_alias=_named("JWT_ISSUER"))
    admin_roles: Words = Field(("service_role", "supabase_admin"), validation_alias=_named("JWT_ADMIN_ROLES"))
    default_role: str = Field("authenticated", validation_alias=_named("JWT_DEFAULT_GROUP_NAME"))
    rotate_refresh_tokens: bool = Field(True, validation_alias=_named("SECURITY_REFRESH_TOKEN_ROTATION_ENABLED"))
    reuse_seconds: int = Field(10, ge=0, validation_alias=_named("SECURITY_REFRESH_TOKEN_REUSE_INTERVAL"))
    session_timebox: Duration | None = Field(None, validation_alias=_named("SESSIONS_TIMEBOX"))
    session_inactivity: Duration | None = Field(None, validation_alias=_named("SESSIONS_INACTIVITY_TIMEOUT"))

    single_session: bool = Field(False, validation_alias=_named("SESSIONS_SINGLE_PER_USER"))

    # Sign-up and passwords.
    signup_disabled: bool = Field(False, validation_alias=_named("DISABLE_SIGNUP"))
    email_enabled: bool = Field(True, validation_alias=_named("EXTERNAL_EMAIL_ENABLED"))
    magic_links: bool = Field(True, validation_alias=_named("EXTERNAL_EMAIL_MAGIC_LINK_ENABLED"))
    anonymous_users: bool = Field(False, validation_alias=_named("EXTERNAL_ANONYMOUS_USERS_ENABLED"))
    autoconfirm: bool = Field(False, validation_alias=_named("MAILER_AUTOCONFIRM"))
    password_min_length: int = Field(6, ge=1, le=72, validation_alias=_named("PASSWORD_MIN_LENGTH"))
    password_characters: str = Field("", validation_alias=_named("PASSWORD_REQUIRED_CHARACTERS"))
    reauthenticate_for_password: bool = Field(
        False, validation_alias=_named("SECURITY_UPDATE_PASSWORD_REQUIRE_REAUTHENTICATION")
    )
    current_password_for_password: bool = Field(
        False, validation_alias=_named("SECURITY_UPDATE_PASSWORD_REQUIRE_CURRENT_PASSWORD")
    )
    bcrypt_threads: int | None = Field(None, ge=1, le=256, validation_alias=AliasChoices("TENANTRY_BCRYPT_THREADS"))

    # Mail: codes and links. How it is sent is read by tenantry.auth.mail.
    secure_email_change: bool = Field(True, validation_alias=_named("MAILER_SECURE_EMAIL_CHANGE_ENABLED"))
    otp_seconds: int = Field(86400, ge=1, le=86400, validation_alias=_named("MAILER_OTP_EXP"))
    otp_length: int = Field(6, ge=6, le=10, validation_alias=_named("MAILER_OTP_LENGTH"))
    mail_interval: Duration = Field(timedelta(minutes=1), validation_alias=_named("SMTP_MAX_FREQUENCY"))
    mail_answer: Duration = Field(
        timedelta(milliseconds=250), validation_alias=AliasChoices("TENANTRY_AUTH_MAIL_ANSWER")
    )
    flow_lifetime: Duration = Field(
        timedelta(minutes=5), validation_alias=_named("EXTERNAL_FLOW_STATE_EXPIRY_DURATION")
    )

    # Second factors.
    totp_enroll: bool = Field(True, validation_alias=_named("MFA_TOTP_ENROLL_ENABLED"))
    totp_verify: bool = Field(True, validation_alias=_named("MFA_TOTP_VERIFY_ENABLED"))
    max_factors: int = Field(10, ge=0, validation_alias=_named("MFA_MAX_ENROLLED_FACTORS"))
    max_verified_factors: int = Field(10, ge=0, validation_alias=_named("MFA_MAX_VERIFIED_FACTORS"))
    challenge_seconds: float = Field(300, gt=0, validation_alias=_named("MFA_CHALLENGE_EXPIRY_DURATION"))

    # Limits for each address and five minutes; of mails for the whole installation and an hour.
    limit_header: str = Field("", validation_alias=_named("RATE_LIMIT_HEADER"))
    limit_token: int = Field(150, ge=1, validation_alias=_named("RATE_LIMIT_TOKEN_REFRESH"))
    limit_verify: int = Field(30, ge=1, validation_alias=_named("RATE_LIMIT_VERIFY"))
    limit_otp: int = Field(30, ge=1, validation_alias=_named("RATE_LIMIT_OTP"))
    limit_anonymous: int = Field(30, ge=1, validation_alias=_named("RATE_LIMIT_ANONYMOUS_USERS"))
    limit_factor: int = Field(15, ge=1, validation_alias=_named("MFA_RATE_LIMIT_CHALLENGE_AND_VERIFY"))
    limit_mail: int = Field(30, ge=1, validation_alias=_named("RATE_LIMIT_EMAIL_SENT"))

    # Hooks.
    token_hook: bool = Field(False, validation_alias=_named("HOOK_CUSTOM_ACCESS_TOKEN_ENABLED"))
    token_hook_uri: str = Field("", validation_alias=_named("HOOK_CUSTOM_ACCESS_TOKEN_URI"))

    @field_validator("site_url", "external_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("an address such as https://app.example.org is expected")
        return value.rstrip("/")

    @field_validator("namespace")
    @classmethod
    def _only_auth(cls, value: str) -> str:
        if value != "auth":
            raise ValueError("the accounts are in schema auth; another name is not supported")
        return value

    @field_validator("token_hook_uri")
    @classmethod
    def _only_functions(cls, value: str) -> str:
        if value and not re.fullmatch(r"pg-functions://[^/]+/[A-Za-z_][A-Za-z0-9_]*/[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError("a function of this database is expected: pg-functions://postgres/SCHEMA/FUNCTION")
        return value

    @cached_property
    def base_url(self) -> str:
        """The address under which clients reach the server, without a slash at the end."""
        return self.external_url or f"http://{self.host}:{self.port}"

    @cached_property
    def issuer(self) -> str:
        return self.jwt_issuer or self.base_url

    @cached_property
    def password_sets(self) -> tuple[str, ...]:
        """The sets of characters of each of which a password has at least one: separated by `:`, `\\:` stands for a colon."""
        return tuple(part.replace("\\:", ":") for part in re.split(r"(?<!\\):", self.password_characters) if part)

    @cached_property
    def token_hook_name(self) -> tuple[str, str] | None:
        """Schema and name of the function that edits the claims of access tokens; None without one."""
        if not self.token_hook or not self.token_hook_uri:
            return None
        _, _, schema, name = self.token_hook_uri.rsplit("/", 3)
        return schema, name


def file_values(text: str) -> dict[str, str]:
    """Return the values of a file's NAME=value lines; empty ones are left out, and no value refers to another."""
    return {name: value for name, value in dotenv_values(stream=StringIO(text), interpolate=False).items() if value}


def read_values(environment: Mapping[str, str], file: Path | None = None) -> dict[str, str]:
    """Return the values of the environment, and what it lacks from a file of NAME=value lines; empty ones are left out.

    Raises:
        SettingsError: the file cannot be read.
    """
    values: dict[str, str] = {}
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise SettingsError(
                f"The settings file {file} cannot be read: {getattr(problem, 'strerror', None) or 'it is not UTF-8'}.",
                hint="Give its path with --config, or run `tenantry auth init`, which writes one.",
            ) from None
        values = file_values(text)
    given = {name: value for name, value in environment.items() if value}
    # The environment counts before the file also where the two use different names for one setting.
    for field in SignInSettings.model_fields.values():
        names = [str(each) for each in getattr(field.validation_alias, "choices", ())]
        if any(name in given for name in names):
            for name in names:
                values.pop(name, None)
    return {**values, **given}


def sign_in_settings(values: Mapping[str, str]) -> SignInSettings:
    """Read the settings from what read_values() returns.

    Raises:
        SettingsError: a value is impossible or missing. Values are never shown.
    """
    try:
        return SignInSettings.model_validate(dict(values))
    except ValidationError as problem:
        raise _as_settings_error(problem) from None


def _as_settings_error(problem: ValidationError) -> SettingsError:
    texts = []
    for each in problem.errors(include_input=False, include_url=False):
        name = str(each["loc"][0]) if each["loc"] else "settings"
        text = each["msg"].removeprefix("Value error, ")
        texts.append(f"{name}: {'it is not set' if each['type'] == 'missing' else text}")
    return SettingsError(
        "The settings of the sign-in server are not complete or not possible: " + "; ".join(texts) + ".",
        hint="Correct them in the environment or in the settings file. `tenantry auth init` writes a file with all that is needed.",
    )


__all__ = ["PREFIX", "SignInSettings", "file_values", "read_duration", "read_values", "sign_in_settings"]
