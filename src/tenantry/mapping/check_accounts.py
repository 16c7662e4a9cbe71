"""Checks the part of a manifest that keeps auth.users and profiles synchronized against the target. Pure."""

from __future__ import annotations

from tenantry.catalog import Catalog, Column, Table
from tenantry.manifest.model import Manifest, Users
from tenantry.manifest.positions import Key
from tenantry.mapping.check_access import TargetChecks
from tenantry.mapping.project import LEGACY_ID, ROW_ID

_MOMENT = "timestamp with time zone"

ACCOUNTS = Table(
    "auth",
    "auth.users",
    columns=tuple(
        Column(name, type_, position=place)
        for place, (name, type_) in enumerate(
            {
                "instance_id": "uuid",
                "id": "uuid",
                "aud": "character varying(255)",
                "role": "character varying(255)",
                "email": "character varying(255)",
                "encrypted_password": "character varying(255)",
                "email_confirmed_at": _MOMENT,
                "invited_at": _MOMENT,
                "confirmation_token": "character varying(255)",
                "confirmation_sent_at": _MOMENT,
                "recovery_token": "character varying(255)",
                "recovery_sent_at": _MOMENT,
                "email_change_token_new": "character varying(255)",
                "email_change": "character varying(255)",
                "email_change_sent_at": _MOMENT,
                "last_sign_in_at": _MOMENT,
                "raw_app_meta_data": "jsonb",
                "raw_user_meta_data": "jsonb",
                "is_super_admin": "boolean",
                "created_at": _MOMENT,
                "updated_at": _MOMENT,
                "phone": "text",
                "phone_confirmed_at": _MOMENT,
                "phone_change": "text",
                "phone_change_token": "character varying(255)",
                "phone_change_sent_at": _MOMENT,
                "confirmed_at": _MOMENT,
                "email_change_token_current": "character varying(255)",
                "email_change_confirm_status": "smallint",
                "banned_until": _MOMENT,
                "reauthentication_token": "character varying(255)",
                "reauthentication_sent_at": _MOMENT,
                "is_sso_user": "boolean",
                "deleted_at": _MOMENT,
                "is_anonymous": "boolean",
            }.items(),
            start=1,
        )
    ),
)
"""The columns of auth.users that every Supabase has: `new` may refer to them as `u`."""

_SECRETS = {name for column in ACCOUNTS.columns if "token" in (name := column.name)} | {"encrypted_password"}


def profile_email(manifest: Manifest, target: Catalog) -> Column | None:
    """Return the column of the profiles that is filled with the users' e-mail addresses, or None."""
    users = manifest.users
    rule = None if users is None else manifest.tables.get(users.profile)
    table = None if users is None else target.table(users.profile)
    if users is None or rule is None or table is None:
        return None
    for part in rule.parts().values():
        if part.source != users.source:
            continue
        for column in table.columns:
            given = part.columns.get(column.name)
            if (given.source if given is not None and given.source is not None else column.name) == users.email:
                return column
    return None


def email_rule(manifest: Manifest, column: str) -> str | None:
    """Return the transform of that column."""
    users = manifest.users
    assert users is not None
    for part in manifest.tables[users.profile].parts().values():
        if part.source == users.source and column in part.columns:
            return part.columns[column].transform
    return None


def check_in_step(checks: TargetChecks) -> None:
    """Report mistakes in [users] in_step, new and gone, [membership] end, and [invitations]."""
    manifest = checks.manifest
    users = manifest.users
    _check_end(checks)
    if users is not None and users.in_step:
        _check_people(checks, users)
    else:
        given = [] if users is None else [name for name, said in (("new", users.new), ("gone", users.gone)) if said]
        for name in given:
            checks.say(("users", name), f"{name} has no effect without in_step = true; take it out")
        if manifest.invitations is not None:
            checks.say(("invitations",), "invitations need in_step = true in [users]")
    _check_invitations(checks)


def _check_people(checks: TargetChecks, users: Users) -> None:
    table = checks.target.table(users.profile)
    if table is None:
        return  # reported where it is named
    email = profile_email(checks.manifest, checks.target)
    if email is None:
        checks.say(
            ("users", "in_step"),
            f"no column of {users.profile} holds {users.source}.{users.email}, by which accounts and profiles are synchronized",
        )
        return
    account = table.column(users.account)
    for column, what in ((account, "account"), (email, "e-mail address")):
        if column is not None and not _is_unique(table, column.name):
            checks.say(
                ("users", "in_step"),
                f"{table.name}.{column.name} needs a unique constraint: two sign-ups at once could make two profiles for one {what}",
            )
    if account is not None and not account.nullable:
        checks.say(
            ("users", "account"), f"{table.name}.{account.name} must allow null: profiles outlive their accounts"
        )
    _check_rights(checks, table, email.name, "people change their address through their account, which confirms it")
    if users.gone is not None:
        _check_rights(checks, table, users.gone, "it says whether an account is deleted")
    filled = {ROW_ID, LEGACY_ID, users.account, email.name}
    for name, expression in users.new.items():
        key: Key = ("users", "new", name)
        column = checks.need_column(table, name, key)
        if name in filled or (column is not None and column.generated is not None):
            checks.say(key, f"{table.name}.{name} fills itself; take it out")
        if checks.expressions.check(expression, {"u": ACCOUNTS}, key):
            for secret in sorted(name for name in _SECRETS if name in expression):
                checks.say(key, f"u.{secret} is a secret of Supabase Auth, and has no place in a profile")
    if users.gone is not None:
        column = checks.need_column(table, users.gone, ("users", "gone"))
        if column is not None and (column.type != _MOMENT or not column.nullable):
            checks.say(
                ("users", "gone"),
                f"{table.name}.{column.name} must be timestamptz, and null as long as the account is there",
            )
    if not table.triggers:  # a trigger may fill missing values
        for column in table.columns:
            if (
                column.nullable
                or column.default is not None
                or column.generated is not None
                or column.identity is not None
            ):
                continue
            if column.name not in filled and column.name not in users.new:
                checks.say(
                    ("users", "new"),
                    f"{table.name}.{column.name} allows no null and has no default: say what sign-ups get there",
                )  # fmt: skip


def _check_rights(checks: TargetChecks, table: Table, column: str, why: str) -> None:
    rule = checks.manifest.tables.get(table.name)
    if rule is None or rule.access.update == "service":
        return
    columns = rule.access.update_columns
    if (column not in rule.access.fixed) if columns is None else (column in columns):
        checks.say(
            ("tables", table.name, "access"), f"clients may change {table.name}.{column}: put it into fixed; {why}"
        )


def _is_unique(table: Table, column: str) -> bool:
    """Whether a unique index covers the column alone, or an expression of it."""
    return any(
        index.unique
        and len(index.columns) == 1
        and (index.columns[0] == column or (index.columns[0] is None and column in index.definition))
        for index in table.indexes
    )


def _check_end(checks: TargetChecks) -> None:
    membership = checks.manifest.membership
    table = checks.target.table(membership.table)
    if table is None:
        return
    for name, expression in membership.end.items():
        key: Key = ("membership", "end", name)
        checks.need_column(table, name, key)
        if name in (ROW_ID, LEGACY_ID, checks.manifest.tenant.column, membership.profile):
            checks.say(key, f"{table.name}.{name} identifies the membership, and never changes")
        checks.expressions.check(expression, {"": table}, key)


def _check_invitations(checks: TargetChecks) -> None:
    invitations = checks.manifest.invitations
    if invitations is None:
        return
    table = checks.target_table(invitations.table, ("invitations", "table"))
    if table is None:
        return
    if table.row_key is None:
        checks.say(("invitations", "table"), f"{table.name} has no key that identifies its rows")
    if table.column(checks.manifest.tenant.column) is None:
        checks.say(
            ("invitations", "table"),
            f"{table.name} has no {checks.manifest.tenant.column}, so its rows name no tenant to invite to",
        )
    for key, name in (
        ("email", invitations.email),
        ("role", invitations.role),
        ("by", invitations.by),
        ("inviter", invitations.inviter),
    ):
        if name is not None:
            checks.need_column(table, name, ("invitations", key))
    accepted = checks.need_column(table, invitations.accepted, ("invitations", "accepted"))
    if accepted is not None and accepted.type != _MOMENT:
        checks.say(
            ("invitations", "accepted"),
            f"{table.name}.{accepted.name} is {accepted.type}, but must be timestamptz: it holds a time",
        )
    right = checks.expressions.check(invitations.open, {"i": table}, ("invitations", "open"))
    if right and accepted is not None and accepted.name not in invitations.open:
        checks.say(
            ("invitations", "open"),
            f"an invitation that was accepted would be open still: add i.{accepted.name} is null",
        )


__all__ = ["ACCOUNTS", "check_in_step", "email_rule", "profile_email"]
