"""Attacks on rows that record identity and authorship: memberships, flags, audit columns, fixed columns."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.access import AUDIT_COLUMNS
from tenantry.access.telling_columns import owned_by_the_service
from tenantry.mapping.project import LEGACY_ID
from tenantry.postgres import ident, literal
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt, TargetTable
from tenantry.prove.attacks.harness.helpers import own_row
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.attacks.harness.rights import right, service_columns
from tenantry.prove.expected.callers import OWN
from tenantry.prove.fixtures.candidates import candidates
from tenantry.prove.fixtures.row_factory import Values


@attack("writes", tries="Inserts a membership of another tenant for the attacker: as a member elsewhere and as a user without any membership.",
        gains="Permanent access to another tenant.")  # fmt: skip
def membership_in_another_tenant(attempt: Attempt) -> AttackVerdict:
    membership = attempt.manifest.membership
    target = next(
        (target for target in attempt.world.targets(attempt.attacker) if target.table.name == membership.table), None
    )
    if target is None or target.tenant is None:
        return not_applicable("there is no membership to write")
    for person, tenant in (
        (attempt.attacker, attempt.other),
        (attempt.world.nobody, attempt.own),
        (attempt.world.nobody, attempt.other),
    ):
        given: Values = {
            target.tenant: tenant,
            membership.profile: attempt.world.fixtures.profiles[person.uid],
            membership.role: attempt.manifest.roles.order[-1],
        }
        row = attempt.world.new_row(target.table, None, given)
        if row is None:
            continue
        with attempt.acting_as(person) as me:
            names = [name for name in target.insertable if row.get(name) is not None] or list(given)
            columns = ", ".join(ident(name) for name in names)
            values = ", ".join(target.value(name, row[name]) for name in names)
            answer = me.run(f"insert into {target.name} ({columns}) values ({values})", undo=True)
            if answer.ok and answer.touched:
                return broken(f"{person.label} makes themselves a member of another tenant")
    return held(str(answer))


@attack("writes", tries="As the lowest member, raises their own role and moves their own membership to another tenant.",
        gains="The rights of an administrator.")  # fmt: skip
def raise_the_own_role(attempt: Attempt) -> AttackVerdict:
    membership, order = attempt.manifest.membership, attempt.manifest.roles.order
    if len(order) < 2:
        return not_applicable("there is only one role")
    person = attempt.world.lowest
    profile = attempt.world.fixtures.profiles[person.uid]
    target = next((target for target in attempt.world.targets(person) if target.table.name == membership.table), None)
    if target is None or target.tenant is None:
        return not_applicable("there is no membership to write")
    mine = f"{ident(membership.profile)} = {target.value(membership.profile, profile)}"
    with attempt.acting_as(person) as me:
        for what, column, value in (
            ("raises their own role", membership.role, order[-1]),
            ("moves their membership to another tenant", target.tenant, attempt.other),
        ):
            answer = me.run(
                f"update {target.name} set {ident(column)} = {target.value(column, value)} where {mine}", undo=True
            )
            if answer.touched:
                return broken(f"{person.label} {what}")
        boss = attempt.world.fixtures.profiles[attempt.attacker.uid]
        answer = me.run(
            f"update {target.name} set {ident(membership.profile)} = {target.value(membership.profile, profile)}"
            f" where {ident(membership.profile)} = {target.value(membership.profile, boss)}",
            undo=True,
        )
        if answer.touched:
            return broken(f"{person.label} takes the place of an administrator")
    return held(str(answer) if not answer.ok else "no membership is touched")


@attack("writes", tries="Writes the flag of super admins, and accounts: tenantry.account, auth.users, as every role of the attacker.",
        gains="All tenants.")  # fmt: skip
def write_the_super_flag(attempt: Attempt) -> AttackVerdict:
    uid = literal(attempt.attacker.uid)
    statements = (
        f"update tenantry.account set is_super = true where user_id = {uid}",
        f"insert into tenantry.account (user_id, is_super) values ({literal(attempt.unknown())}, true)",
        f"update auth.users set raw_app_meta_data = '{{\"super_admin\": true}}' where id = {uid}",
        f"update auth.users set id = {uid} where email like '%'",
        f"delete from auth.users where id = {literal(attempt.victim.uid)}",
    )
    with attempt.acting_as(attempt.attacker) as me:
        for role in (ident(attempt.world.client), "none"):
            me.raw(f"set local role {role}")
            for statement in statements:
                answer = me.run(statement, undo=True)
                if answer.touched:
                    return broken(f"{' '.join(statement.split()[:3])} is not refused")
    return held(f"{2 * len(statements)} statements wrote nothing")


@attack("writes", tries="Sets the audit columns (who made and changed a row, and when) by INSERT and UPDATE; ends the context within a statement.",
        gains="Actions recorded under another name or time.", rights=right("protected_columns"))  # fmt: skip
def forge_the_stamps(attempt: Attempt) -> AttackVerdict:
    verdict = _forge(attempt, AUDIT_COLUMNS, "no table of a tenant has audit columns")
    found = _stamped_by_nobody(attempt) if verdict.outcome == "held" else ""
    return broken(found) if found else verdict


_DROPPED = "pg_catalog.set_config('tenantry.seal', '', true) is not null"
"""True; it ends the context in the middle of the statement, whose policies were evaluated for the first row."""


def _stamped_by_nobody(attempt: Attempt) -> str:
    """Return where a row gets no author because the client dropped its own context within the statement; empty if nowhere."""
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.world.targets(attempt.attacker):
            by = [name for name in AUDIT_COLUMNS if name.endswith("_by") and target.table.column(name) is not None]
            for column in by:
                for statement in _dropping(attempt, target):
                    returning = f"{statement} returning {ident(column)} is null"
                    usual = me.run(returning.replace(_DROPPED, "true"), undo=True)
                    if not usual.rows or any(row[0] is True for row in usual.rows):
                        continue  # no row is written, or its author is not recorded
                    answer = me.run(returning, undo=True)
                    if any(row[0] is True for row in answer.rows):
                        return (
                            f"{target.table.name}: a client that drops its own context writes rows without a {column}"
                        )
    return ""


def _dropping(attempt: Attempt, target: TargetTable) -> Iterator[str]:
    own = [row for row in target.visible if row.facts.tenant == OWN][:2]
    if len(own) == 2 and target.updatable:
        column = ident(target.updatable[0])
        first, second = (row.where for row in own)
        yield f"update {target.name} set {column} = {column} where ({first}) or ({second}) and {_DROPPED}"
    rows = [attempt.world.new_row(target.table, OWN) for _ in range(2)] if target.insertable else []
    if all(row is not None for row in rows) and rows:
        names = [name for name in target.insertable if all(row and row.get(name) is not None for row in rows)]
        lists = [
            ", ".join([str(n), *(target.value(name, row[name]) for name in names)]) for n, row in enumerate(rows) if row
        ]
        listed = ", ".join(ident(name) for name in names)
        yield (
            f"insert into {target.name} ({listed}) select {listed} from (values ({lists[0]}), ({lists[1]})) as v (tenantry_n, {listed})"
            f" where tenantry_n = 0 or {_DROPPED}"
        )


@attack("writes", tries="Sets the legacy id of a row, including that of another tenant's row.",
        gains="A row that replaces another's in the reverse replay, or behind old links.", rights=right("protected_columns"))  # fmt: skip
def forge_the_old_id(attempt: Attempt) -> AttackVerdict:
    return _forge(attempt, (LEGACY_ID,), f"no table of a tenant has a column {LEGACY_ID}")


def _forge(attempt: Attempt, columns: tuple[str, ...], none: str) -> AttackVerdict:
    tried = 0
    somebody = attempt.world.fixtures.profiles[attempt.victim.uid]
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.world.targets(attempt.attacker):
            for column in columns:
                found = target.table.column(column)
                if found is None or not (target.insertable or target.updatable):
                    continue
                forged = (
                    somebody if found.type == "uuid" else "2001-02-03" if "time" in found.type else attempt.unknown()
                )
                given = target.value(column, forged)
                row = own_row(attempt, target)
                statements = []
                if row is not None and target.updatable:
                    statements.append(f"update {target.name} set {ident(column)} = {given} where {row.where}")
                fresh = attempt.world.new_row(target.table, OWN) if target.insertable else None
                names = [
                    name
                    for name in target.insertable
                    if fresh is not None and fresh.get(name) is not None and name != column
                ]
                if fresh is not None and names:
                    listed = ", ".join(ident(name) for name in (*names, column))
                    values = ", ".join([*(target.value(name, fresh[name]) for name in names), given])
                    statements.append(f"insert into {target.name} ({listed}) values ({values})")
                for statement in statements:
                    answer = me.run(f"{statement} returning {ident(column)} = {given}", undo=True)
                    tried += 1
                    if answer.value is True:
                        return broken(f"{target.table.name}.{column} holds the client's value")
    return held(f"{tried} statements were refused, or their values were not kept") if tried else not_applicable(none)


@attack(
    "writes",
    tries="Changes columns of own rows that the manifest fixes.",
    gains="Values that only the application may set.",
)
def write_fixed_columns(attempt: Attempt) -> AttackVerdict:
    tried = 0
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.world.targets(attempt.attacker):
            rule = attempt.manifest.tables.get(target.table.name)
            row = next(iter(target.visible), None)
            for column in () if rule is None or row is None else rule.access.fixed:
                assert row is not None
                answer = me.run(
                    f"update {target.name} set {ident(column)} = {ident(column)} where {row.where}", undo=True
                )
                tried += 1
                if answer.touched:
                    return broken(f"{target.table.name}.{column} is changed by a client")
    return held(f"{tried} statements were refused") if tried else not_applicable("the manifest fixes no column")


@attack("writes", tries="Makes a row of a job, such as an export, look finished: sets its file, status or owner by INSERT and"
        " UPDATE, although the manifest leaves these to the application.",
        gains="A file of another tenant, served as the result of the attacker's job.", rights=service_columns)  # fmt: skip
def finished_export(attempt: Attempt) -> AttackVerdict:
    tried = 0
    tables = {target.table.name: target for target in attempt.world.targets(attempt.attacker)}
    with attempt.acting_as(attempt.attacker) as me:
        for table, command, columns in owned_by_the_service(attempt.project):
            target = tables.get(table.name)
            fresh = attempt.world.new_row(table, OWN) if target is not None else None
            if target is None or fresh is None:
                continue
            for column in columns:
                tried += 1
                if _states(attempt, me, target, command, column, fresh):
                    return broken(f"{table.name}.{column} holds the client's value after an {command}")
    return (
        held(f"{tried} columns were refused, or their values were not kept")
        if tried
        else not_applicable("the manifest leaves no column with such a name to the application")
    )


def _states(attempt: Attempt, me: AttackSession, target: TargetTable, command: str, column: str, fresh: Values) -> bool:
    """Whether a row of the attacker's tenant keeps the client's value in a column. Values are tried until one differs from the current
    value and passes the column's constraints."""
    row = next((row for row in target.visible if row.facts.tenant == OWN), None)
    usual = fresh.get(column) if command == "insert" else row.values.get(column) if row is not None else None
    options = candidates(attempt.project.target, target.table, target.column(column))
    for value in [option for option in options if option != usual][:_MOST_VALUES]:
        given = f"{literal(value)}::{target.column(column).type}"
        if command == "update":
            if row is None:
                return False
            statement = f"update {target.name} set {ident(column)} = {given} where {row.where}"
        else:
            names = [name for name in target.insertable if fresh.get(name) is not None and name != column]
            listed = ", ".join(ident(name) for name in (*names, column))
            values = ", ".join([*(target.value(name, fresh[name]) for name in names), given])
            statement = f"insert into {target.name} ({listed}) values ({values})"
        answer = me.run(statement, undo=True)
        if answer.touched:
            # A second statement reads it: the client may have no right to read what it writes.
            stays = me.run(f"{statement} returning {ident(column)} = {given}", undo=True)
            return stays.value is not False
        if answer.sqlstate == _NO_RIGHT:
            return False
    return False


_MOST_VALUES = 6
_NO_RIGHT = "42501"


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
