"""Tenants, memberships, users and invitations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    Discriminator,
    Field,
    Tag,
    field_validator,
)

from tenantry.manifest.scalars import UUID, ManifestRecord, Name, Scalar, Sql


class ValueTenants(ManifestRecord):
    """Tenants that are made from the distinct values of source columns.

    Attributes:
        column: the column of the tenant table that receives the value.
        up: SQL over `value`, a value as text: equal results are one tenant. A null or an empty text is no tenant.
        down: SQL over the row `t` of the tenant table: the value of a tenant that was created in the target; by default
            that of `column`.
    """

    column: Name
    up: Sql = "btrim(value)"
    down: Sql | None = None


class TenantSection(ManifestRecord):
    table: Name
    column: Name
    active: Sql | None = None
    """SQL expression over a row of the tenant table; members get no access while it is not true."""
    parent: Name | None = None
    """Column of the tenant table: the tenant above, whose members have the same role in this one."""
    constant: Mapping[Name, Scalar] | None = None
    """The row of the one tenant that everything in the source belongs to, by column; its id is derived, or stated as `id`."""

    values: ValueTenants | None = None
    """Each distinct value of the columns in paths such as `"region -> regions"` is a tenant."""

    @field_validator("constant")
    @classmethod
    def _stated_id(cls, value: Mapping[str, str | int | float] | None) -> Mapping[str, str | int | float] | None:
        if value is not None and "id" in value and not UUID.fullmatch(str(value["id"])):
            raise ValueError("id: must be a uuid, in lower case and with hyphens")
        return value


class Membership(ManifestRecord):
    """Who belongs to which tenant, and with which role.

    Attributes:
        active: SQL condition over the membership; by default every membership is active.
        end: SQL expression by column that ends a membership; by default its row is deleted.
        clients_write: why clients below the highest role may write memberships, if that is intended.
    """

    table: Name
    profile: Name
    role: Name
    active: Sql | None = None
    end: Mapping[Name, Sql] = Field(default_factory=dict)
    clients_write: str | None = None


class Roles(ManifestRecord):
    order: tuple[str, ...]
    """The tenant roles, least first; each includes the rights of those before it."""

    @field_validator("order")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("name at least one role, each once")
        taken = {"super", "signed_in", "service", "public", "anyone"} & set(value)
        if taken:
            raise ValueError(f"{sorted(taken)[0]!r} is a reserved word of the access matrix; choose another name")
        return value


class LinkColumn(ManifestRecord):
    """Link by a source column that already holds the id of the account."""

    column: Name


class LinkFile(ManifestRecord):
    """Link by a CSV file next to the manifest: the user's old id and the account's id."""

    file: Name


def _kind_of_link(value: object) -> str:
    if isinstance(value, LinkColumn | LinkFile):
        return "<column>" if isinstance(value, LinkColumn) else "<file>"
    if isinstance(value, Mapping):
        return "<file>" if "file" in value else "<column>"
    return "<word>"


Link = Annotated[
    Annotated[Literal["email"], Tag("<word>")]
    | Annotated[LinkColumn, Tag("<column>")]
    | Annotated[LinkFile, Tag("<file>")],
    Discriminator(_kind_of_link),
]
"""A way to find the account that a user already has."""


class Users(ManifestRecord):
    """The application's users table and the profile table that replaces it.

    Attributes:
        super: SQL condition over the source row `s`: who becomes super admin (in app_metadata, which no user can edit).
        link: ways to find an existing account, in order; the first match counts.
        otherwise: what to do with a user without an account: create one, invite the user, or leave them without one until
        they sign up and confirm their e-mail.
        password: source column with the password hash. Users with bcrypt, argon2 or Firebase scrypt hashes keep their password.
        unusable: what to do with a user whose hash is missing or of another kind: create an account without a password, which
        the user resets; send an invitation; or create no account.
        verified: SQL condition over `s`: the old application verified the e-mail, so the new account counts as confirmed.
        deleted, if_deleted: SQL condition over `s` for soft-deleted users, who get no account or a banned one.
        system: SQL condition over `s` for users that are not people and never get an account.
        if_unconfirmed: an unconfirmed account has the user's e-mail: leave the user unlinked until it is confirmed, or refuse.
        if_banned: the user's account is banned: link it (it stays banned), leave the user unlinked, or refuse the run.
        if_taken: the user's account belongs to another person: leave the user without one, or refuse the run.
        metadata: SQL expression of type jsonb over `s`: user_metadata of the new account; it grants nothing.
        in_step: triggers on auth.users synchronize profiles from the cut-over on.
        new: SQL expression over the account `u` by column of the profile table, for profiles that sign-ups create.
        gone: column of the profile table (timestamptz): when the person's account was deleted.
    """

    source: Annotated[Name, Field(alias="from")]
    profile: Name
    account: Name
    email: Name
    super: Sql | None = None
    link: tuple[Link, ...] = ("email",)
    otherwise: Literal["create", "invite", "leave"] = "create"
    password: Name | None = None
    unusable: Literal["reset", "invite", "leave"] = "reset"
    verified: Sql | None = None
    deleted: Sql | None = None
    if_deleted: Literal["leave", "ban"] = "leave"
    system: Sql | None = None
    if_unconfirmed: Literal["leave", "refuse"] = "leave"
    if_banned: Literal["link", "leave", "refuse"] = "link"
    if_taken: Literal["leave", "refuse"] = "leave"
    metadata: Sql | None = None
    in_step: bool = False
    new: Mapping[Name, Sql] = Field(default_factory=dict)
    gone: Name | None = None


class Invitations(ManifestRecord):
    """The table of invitations: a person who confirms the invited e-mail becomes a member with the invited role.

    Attributes:
        open: SQL condition over the invitation `i`: it may still be accepted.
        accepted: column (timestamptz): when it was accepted.
        by: column that names the profile of the person who accepted it.
        inviter: column that names the profile of the inviter; the invitation is valid while they have that role there.
        clients_write: why clients below the highest role may write invitations, if that is intended.
    """

    table: Name
    email: Name
    role: Name
    open: Sql
    accepted: Name
    by: Name | None = None
    inviter: Name | None = None
    clients_write: str | None = None


__all__ = [
    "Invitations",
    "Link",
    "LinkColumn",
    "LinkFile",
    "Membership",
    "Roles",
    "TenantSection",
    "Users",
    "ValueTenants",
]
