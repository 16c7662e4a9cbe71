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
def membership_in_another_tenant(scene: Attempt) -> AttackVerdict:
    membership = scene.manifest.membership
    prey = next((prey for prey in scene.ground.preys(scene.attacker) if prey.table.name == membership.table), None)
    if prey is None or prey.tenant is None:
        return not_applicable("there is no membership to write")
    for person, tenant in (
        (scene.attacker, scene.other),
        (scene.ground.nobody, scene.own),
        (scene.ground.nobody, scene.other),
    ):
        given: Values = {
            prey.tenant: tenant,
            membership.profile: scene.ground.fixtures.profiles[person.uid],
            membership.role: scene.manifest.roles.order[-1],
        }
        row = scene.ground.new_row(prey.table, None, given)
        if row is None:
            continue
        with scene.turn(person) as me:
            names = [name for name in prey.insertable if row.get(name) is not None] or list(given)
            columns = ", ".join(ident(name) for name in names)
            values = ", ".join(prey.value(name, row[name]) for name in names)
            answer = me.run(f"insert into {prey.name} ({columns}) values ({values})", undo=True)
            if answer.ok and answer.touched:
                return broken(f"{person.label} makes themselves a member of another tenant")
    return held(str(answer))


@attack("writes", tries="As the lowest member, raises their own role and moves their own membership to another tenant.",
        gains="The rights of an administrator.")  # fmt: skip
def raise_the_own_role(scene: Attempt) -> AttackVerdict:
    membership, order = scene.manifest.membership, scene.manifest.roles.order
    if len(order) < 2:
        return not_applicable("there is only one role")
    person = scene.ground.lowest
    profile = scene.ground.fixtures.profiles[person.uid]
    prey = next((prey for prey in scene.ground.preys(person) if prey.table.name == membership.table), None)
    if prey is None or prey.tenant is None:
        return not_applicable("there is no membership to write")
    mine = f"{ident(membership.profile)} = {prey.value(membership.profile, profile)}"
    with scene.turn(person) as me:
        for what, column, value in (
            ("raises their own role", membership.role, order[-1]),
            ("moves their membership to another tenant", prey.tenant, scene.other),
        ):
            answer = me.run(
                f"update {prey.name} set {ident(column)} = {prey.value(column, value)} where {mine}", undo=True
            )
            if answer.touched:
                return broken(f"{person.label} {what}")
        boss = scene.ground.fixtures.profiles[scene.attacker.uid]
        answer = me.run(
            f"update {prey.name} set {ident(membership.profile)} = {prey.value(membership.profile, profile)}"
            f" where {ident(membership.profile)} = {prey.value(membership.profile, boss)}",
            undo=True,
        )
        if answer.touched:
            return broken(f"{person.label} takes the place of an administrator")
    return held(str(answer) if not answer.ok else "no membership is touched")


@attack("writes", tries="Writes the flag of super admins, and accounts: tenantry.account, auth.users, as every role of the attacker.",
        gains="All tenants.")  # fmt: skip
def write_the_super_flag(scene: Attempt) -> AttackVerdict:
    uid = literal(scene.attacker.uid)
    statements = (
        f"update tenantry.account set is_super = true where user_id = {uid}",
        f"insert into tenantry.account (user_id, is_super) values ({literal(scene.unknown())}, true)",
        f"update auth.users set raw_app_meta_data = '{{\"super_admin\": true}}' where id = {uid}",
        f"update auth.users set id = {uid} where email like '%'",
        f"delete from auth.users where id = {literal(scene.victim.uid)}",
    )
    with scene.turn(scene.attacker) as me:
        for role in (ident(scene.ground.client), "none"):
            me.raw(f"set local role {role}")
            for statement in statements:
                answer = me.run(statement, undo=True)
                if answer.touched:
                    return broken(f"{' '.join(statement.split()[:3])} is not refused")
    return held(f"{2 * len(statements)} statements wrote nothing")


@attack("writes", tries="Sets the audit columns (who made and changed a row, and when) by INSERT and UPDATE; ends the context within a statement.",
        gains="Actions recorded under another name or time.", rights=right("protected_columns"))  # fmt: skip
def forge_the_stamps(scene: Attempt) -> AttackVerdict:
    verdict = _forge(scene, AUDIT_COLUMNS, "no table of a tenant has audit columns")
    found = _stamped_by_nobody(scene) if verdict.outcome == "held" else ""
    return broken(found) if found else verdict


_DROPPED = "pg_catalog.set_config('tenantry.seal', '', true) is not null"
"""True; it ends the context in the middle of the statement, whose policies were evaluated for the first row."""


def _stamped_by_nobody(scene: Attempt) -> str:
    """Return where a row gets no author because the client dropped its own context within the statement; empty if nowhere."""
    with scene.turn(scene.attacker) as me:
        for prey in scene.ground.preys(scene.attacker):
            by = [name for name in AUDIT_COLUMNS if name.endswith("_by") and prey.table.column(name) is not None]
            for column in by:
                for statement in _dropping(scene, prey):
                    returning = f"{statement} returning {ident(column)} is null"
                    usual = me.run(returning.replace(_DROPPED, "true"), undo=True)
                    if not usual.rows or any(row[0] is True for row in usual.rows):
                        continue  # no row is written, or its author is not recorded
                    answer = me.run(returning, undo=True)
                    if any(row[0] is True for row in answer.rows):
                        return f"{prey.table.name}: a client that drops its own context writes rows without a {column}"
    return ""


def _dropping(scene: Attempt, prey: TargetTable) -> Iterator[str]:
    own = [row for row in prey.visible if row.facts.tenant == OWN][:2]
    if len(own) == 2 and prey.updatable:
        column = ident(prey.updatable[0])
        first, second = (row.where for row in own)
        yield f"update {prey.name} set {column} = {column} where ({first}) or ({second}) and {_DROPPED}"
    rows = [scene.ground.new_row(prey.table, OWN) for _ in range(2)] if prey.insertable else []
    if all(row is not None for row in rows) and rows:
        names = [name for name in prey.insertable if all(row and row.get(name) is not None for row in rows)]
        lists = [
            ", ".join([str(n), *(prey.value(name, row[name]) for name in names)]) for n, row in enumerate(rows) if row
        ]
        listed = ", ".join(ident(name) for name in names)
        yield (
            f"insert into {prey.name} ({listed}) select {listed} from (values ({lists[0]}), ({lists[1]})) as v (tenantry_n, {listed})"
            f" where tenantry_n = 0 or {_DROPPED}"
        )


@attack("writes", tries="Sets the legacy id of a row, including that of another tenant's row.",
        gains="A row that replaces another's in the reverse replay, or behind old links.", rights=right("protected_columns"))  # fmt: skip
def forge_the_old_id(scene: Attempt) -> AttackVerdict:
    return _forge(scene, (LEGACY_ID,), f"no table of a tenant has a column {LEGACY_ID}")


def _forge(scene: Attempt, columns: tuple[str, ...], none: str) -> AttackVerdict:
    tried = 0
    somebody = scene.ground.fixtures.profiles[scene.victim.uid]
    with scene.turn(scene.attacker) as me:
        for prey in scene.ground.preys(scene.attacker):
            for column in columns:
                found = prey.table.column(column)
                if found is None or not (prey.insertable or prey.updatable):
                    continue
                forged = somebody if found.type == "uuid" else "2001-02-03" if "time" in found.type else scene.unknown()
                given = prey.value(column, forged)
                row = own_row(scene, prey)
                statements = []
                if row is not None and prey.updatable:
                    statements.append(f"update {prey.name} set {ident(column)} = {given} where {row.where}")
                fresh = scene.ground.new_row(prey.table, OWN) if prey.insertable else None
                names = [
                    name
                    for name in prey.insertable
                    if fresh is not None and fresh.get(name) is not None and name != column
                ]
                if fresh is not None and names:
                    listed = ", ".join(ident(name) for name in (*names, column))
                    values = ", ".join([*(prey.value(name, fresh[name]) for name in names), given])
                    statements.append(f"insert into {prey.name} ({listed}) values ({values})")
                for statement in statements:
                    answer = me.run(f"{statement} returning {ident(column)} = {given}", undo=True)
                    tried += 1
                    if answer.value is True:
                        return broken(f"{prey.table.name}.{column} holds the client's value")
    return held(f"{tried} statements were refused, or their values were not kept") if tried else not_applicable(none)


@attack(
    "writes",
    tries="Changes columns of own rows that the manifest fixes.",
    gains="Values that only the application may set.",
)
def write_fixed_columns(scene: Attempt) -> AttackVerdict:
    tried = 0
    with scene.turn(scene.attacker) as me:
        for prey in scene.ground.preys(scene.attacker):
            rule = scene.manifest.tables.get(prey.table.name)
            row = next(iter(prey.visible), None)
            for column in () if rule is None or row is None else rule.access.fixed:
                assert row is not None
                answer = me.run(
                    f"update {prey.name} set {ident(column)} = {ident(column)} where {row.where}", undo=True
                )
                tried += 1
                if answer.touched:
                    return broken(f"{prey.table.name}.{column} is changed by a client")
    return held(f"{tried} statements were refused") if tried else not_applicable("the manifest fixes no column")


@attack("writes", tries="Makes a row of a job, such as an export, look finished: sets its file, status or owner by INSERT and"
        " UPDATE, although the manifest leaves these to the application.",
        gains="A file of another tenant, served as the result of the attacker's job.", rights=service_columns)  # fmt: skip
def finished_export(scene: Attempt) -> AttackVerdict:
    tried = 0
    tables = {prey.table.name: prey for prey in scene.ground.preys(scene.attacker)}
    with scene.turn(scene.attacker) as me:
        for table, command, columns in owned_by_the_service(scene.project):
            prey = tables.get(table.name)
            fresh = scene.ground.new_row(table, OWN) if prey is not None else None
            if prey is None or fresh is None:
                continue
            for column in columns:
                tried += 1
                if _states(scene, me, prey, command, column, fresh):
                    return broken(f"{table.name}.{column} holds the client's value after an {command}")
    return (
        held(f"{tried} columns were refused, or their values were not kept")
        if tried
        else not_applicable("the manifest leaves no column with such a name to the application")
    )


def _states(scene: Attempt, me: AttackSession, prey: TargetTable, command: str, column: str, fresh: Values) -> bool:
    """Whether a row of the attacker's tenant keeps the client's value in a column. Values are tried until one differs from the current
    value and passes the column's constraints."""
    row = next((row for row in prey.visible if row.facts.tenant == OWN), None)
    usual = fresh.get(column) if command == "insert" else row.values.get(column) if row is not None else None
    options = candidates(scene.project.target, prey.table, prey.column(column))
    for value in [option for option in options if option != usual][:_MOST_VALUES]:
        given = f"{literal(value)}::{prey.column(column).type}"
        if command == "update":
            if row is None:
                return False
            statement = f"update {prey.name} set {ident(column)} = {given} where {row.where}"
        else:
            names = [name for name in prey.insertable if fresh.get(name) is not None and name != column]
            listed = ", ".join(ident(name) for name in (*names, column))
            values = ", ".join([*(prey.value(name, fresh[name]) for name in names), given])
            statement = f"insert into {prey.name} ({listed}) values ({values})"
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
