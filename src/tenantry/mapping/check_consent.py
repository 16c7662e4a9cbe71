"""Checks that nobody can write the rows that give themselves access: shares, invitations, memberships. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tenantry.catalog import Table
from tenantry.manifest.model import Access, Manifest, Own, Share
from tenantry.manifest.positions import Key
from tenantry.mapping.client_columns import changed_columns, columns_in, given_columns, written_columns

if TYPE_CHECKING:
    from tenantry.mapping.check_access import TargetChecks

_CONSTANT = re.compile(r"'((?:[^']|'')*)'(?:::[\w\". ()\[\]]+)?|-?\d+(?:\.\d+)?")


def check_share(checks: TargetChecks, table: Table, share: Share, key: Key) -> None:
    """Check that the sharing tenant cannot consent for the other one, and cannot change what the consent was given for."""
    rule = checks.manifest.tables.get(table.name)
    if rule is None:
        return
    tenant = checks.manifest.tenant
    asked = _with_sources(columns_in(share.accepted, table), table)
    forged = asked & written_columns(table, rule.access, tenant)
    if forged:
        checks.say(
            (*key, "accepted"),
            f"clients who make shares may write {table.name}.{sorted(forged)[0]}, and so accept for the other tenant;"
            " leave it out of insert_columns, and put it in fixed",
        )
    if rule.access.insert != "service":
        for name in sorted(asked):
            column = table.column(name)
            if column is not None and column.default is not None and not _is_harmless(column.default, share.accepted):
                checks.say(
                    (*key, "accepted"),
                    f"{table.name}.{name} is filled by its default ({column.default}), so a new share may count as accepted at once;"
                    " drop the default, or let the service create shares",
                )
    if not asked or rule.access.update == "service":
        return
    changed = set(changed_columns(table, rule.access, tenant))
    if share.to in changed:
        checks.say(
            (*key, "to"), f"clients may change {table.name}.{share.to} of a share that was accepted; put it in fixed"
        )
    widened = sorted(_with_sources(columns_in(share.active, table), table) & changed - {share.to})
    if widened and share.clients_change is None:
        checks.say(
            (*key, "active"),
            f"clients may change {table.name}.{widened[0]} of a share that was accepted, and so use it for something that was not"
            " agreed to, or again when it has ended; put it in fixed, let the service change it, or say in clients_change what"
            " takes the acceptance back",
        )


def check_who_lets_in(checks: TargetChecks) -> None:
    """Check who may write invitations or memberships, which assign roles: only the highest role, unless the manifest says
    why."""
    manifest = checks.manifest
    membership = manifest.membership
    table = checks.target.table(membership.table)
    if table is not None and membership.clients_write is None:
        telling = {manifest.tenant.column, membership.profile, membership.role} | columns_in(membership.active, table)
        _say_who(checks, table, telling, ("membership", "clients_write"), "make themselves, or others, members")
    invitations = manifest.invitations
    table = None if invitations is None else checks.target.table(invitations.table)
    if table is not None and invitations is not None and invitations.clients_write is None:
        named = {invitations.email, invitations.role, invitations.accepted, invitations.by, invitations.inviter}
        telling = {name for name in named if name is not None} | columns_in(invitations.open, table)
        _say_who(checks, table, telling, ("invitations", "clients_write"), "invite themselves with a higher role")


def _say_who(checks: TargetChecks, table: Table, telling: set[str], key: Key, harm: str) -> None:
    rule = checks.manifest.tables.get(table.name)
    if rule is None:
        return
    telling = _with_sources(telling, table)
    for command, columns in _written(table, rule.access, checks.manifest):
        written = sorted(telling & set(columns))
        if written:
            checks.say(
                ("tables", table.name, "access", command),
                f"clients below {checks.manifest.roles.order[-1]!r} may {command} {table.name}.{written[0]}, and so {harm}; let the service"
                f" {command} it, or say in {'.'.join(map(str, key))} why they may",
            )


def _written(table: Table, access: Access, manifest: Manifest) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return, by command, the columns that clients without the highest role may write."""
    enough = ("service", "super", manifest.roles.order[-1])
    for command, cell, columns in (
        ("insert", access.insert, given_columns),
        ("update", access.update, changed_columns),
    ):
        role = cell.role if isinstance(cell, Own) else cell
        if role not in enough:
            yield command, columns(table, access, manifest.tenant)


def _with_sources(names: set[str], table: Table) -> set[str]:
    """Add the columns from which generated columns among them are computed."""
    found = set(names)
    for name in names:
        column = table.column(name)
        if column is not None and column.generated is not None:
            found |= columns_in(column.generated, table)
    return found


def _is_harmless(default: str, accepted: str) -> bool:
    """Whether a default is a constant for which the condition is false. Unreadable expressions do not count."""
    if default.split("::", 1)[0].strip().lower() in ("null", "false"):
        return True
    constant = _CONSTANT.fullmatch(default.strip())
    if constant is None:
        return False
    text = constant[1] if constant[1] is not None else constant[0]
    return text not in _CONSTANT.sub(lambda each: f" {each[1] if each[1] is not None else each[0]} ", accepted).split()


__all__ = ["check_share", "check_who_lets_in"]
