"""Attacks on the caller's identity: no context, strange contexts, and people whose rights have just ended."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import suppress

import psycopg

from tenantry.catalog import Table
from tenantry.postgres import ident, literal
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt, Claims, TargetTable
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.expected.callers import OWN, ProofPerson
from tenantry.prove.fixtures.candidates import candidates
from tenantry.prove.fixtures.row_factory import columns_in


def _sees(attempt: Attempt, me: AttackSession, person: ProofPerson) -> int:
    """Return how many of the rows that a member should see are visible to the session."""
    total = 0
    for target in _members_tables(attempt, person):
        keys = " or ".join(f"({row.where})" for row in target.visible if row.facts.tenant == OWN)
        total += me.run(f"select count(*) from {target.name} where {keys}").number
    return total


def _members_tables(attempt: Attempt, person: ProofPerson) -> list[TargetTable]:
    tables = attempt.open_tables(person)
    return [target for target in tables if any(row.facts.tenant == OWN for row in target.visible)]


def _nobody_sees(attempt: Attempt, session: AttackSession, who: str) -> AttackVerdict | None:
    found = attempt.any_rows(session)
    return broken(f"{who} sees {found}") if found else None


# -- no context, and strange contexts --------------------------------------------------------------------------------


@attack(
    "context",
    tries="Reads under the client role without any context.",
    gains="All rows, if no caller is treated as every caller.",
)
def no_context(attempt: Attempt) -> AttackVerdict:
    with attempt.bare(attempt.world.client) as me:
        verdict = _nobody_sees(attempt, me, "a client without a context")
    return verdict or held("no row is seen")


def _strange(attempt: Attempt, kinds: Iterator[tuple[str, Claims | None, str | None]]) -> AttackVerdict:
    """Try contexts that the application opened and that identify nobody: (kind, claims or None, their text)."""
    tried = 0
    session = attempt.connect()
    for kind, claims, text in kinds:
        with attempt.bare(None, session) as me:
            if text is None:
                assert claims is not None
                attempt.open(me, claims)
            else:
                key = attempt.world.key
                if key is None:
                    me.run("select set_config('request.jwt.claims', %s, true)", [text])
                else:
                    asked = str(me.run("select tenantry.challenge()").value)
                    me.run("select tenantry.open(%s, %s)", [text, key.token(text, asked)])
            me.raw(f"set local role {ident(attempt.world.client)}")
            verdict = _nobody_sees(attempt, me, f"a caller with {kind}")
            tried += 1
        if verdict is not None:
            return verdict
    return held(f"{tried} such contexts show no row")


@attack("context", tries="Opens contexts whose claims are empty: no text, an empty object, null, only blanks.",
        gains="All rows, if empty means anyone.")  # fmt: skip
def empty_claims(attempt: Attempt) -> AttackVerdict:
    texts = ["", "{}", "null", " ", "[]", '""', '{"sub":null}', '{"sub":""}']
    return _strange(attempt, ((f"the claims {text!r}", None, text) for text in texts))


@attack("context", tries="Opens contexts whose claims are malformed: cut off, of the wrong types, with invalid ids.",
        gains="An error that leaks values, or rows if a failed cast is caught.")  # fmt: skip
def malformed_claims(attempt: Attempt) -> AttackVerdict:
    uid = attempt.attacker.uid
    values: list[object] = [
        f"{uid}'",
        f"{uid} ",
        f"{{{uid}}} or true",
        [uid],
        {"eq": uid},
        1,
        True,
        "00000000-0000-0000-0000-000000000000",
        f"{uid}\u0000"[:36] + "x",
        "*",
        "%",
    ]
    kinds = [(f"the subject {json.dumps(value)}"[:60], None, json.dumps({"sub": value})) for value in values]
    kinds += [("claims that are cut off", None, json.dumps({"sub": uid})[:-3]), ("a number for claims", None, "1")]
    return _strange(attempt, iter(kinds))


@attack(
    "context",
    tries="Opens the context of an account that does not exist.",
    gains="Rows for an unknown person with a valid token.",
)
def unknown_account(attempt: Attempt) -> AttackVerdict:
    claims = {"sub": attempt.unknown(), "role": attempt.world.client}
    return _strange(attempt, iter([("an unknown account", claims, None)]))


@attack("context", tries="Claims another's e-mail address, profile and tenants together with the attacker's own subject.",
        gains="Another's rows, if a policy reads other claims than the subject.")  # fmt: skip
def claims_of_another_beside_ones_own(attempt: Attempt) -> AttackVerdict:
    victim = attempt.victim
    more = {
        "email": victim.email,
        "user_id": victim.uid,
        "profile_id": attempt.world.fixtures.profiles[victim.uid],
        "tenant": attempt.other,
        attempt.manifest.tenant.column: attempt.other,
        "tenants": [attempt.other],
        "app_metadata": {
            "tenant": attempt.other,
            "tenants": [attempt.other],
            attempt.manifest.tenant.column: attempt.other,
        },
    }
    with attempt.acting_as({**attempt.world.claims(attempt.attacker), **more}) as me:
        found = attempt.foreign_rows(me)
    return (
        broken(f"with another's claims and their own subject the attacker sees {found}")
        if found
        else held("only the subject counts")
    )


@attack("context", tries="Sets super admin in metadata that users edit: raw_user_meta_data, and user_metadata in the claims.",
        gains="All tenants.", source="https://supabase.com/docs/guides/database/database-advisors (rls_references_user_metadata)")  # fmt: skip
def role_in_user_metadata(attempt: Attempt) -> AttackVerdict:
    nobody = attempt.world.nobody
    top = attempt.manifest.roles.order[-1]
    said = {"super_admin": True, "is_super": "true", "role": top, "roles": [top], "tenants": [attempt.own]}
    statement = "update auth.users set raw_user_meta_data = %s where id = %s"
    undo = f"update auth.users set raw_user_meta_data = '{{}}' where id = {literal(nobody.uid)}"
    claims = {**attempt.world.claims(nobody), "user_metadata": said}
    with attempt.world.changed(statement, undo, [json.dumps(said), nobody.uid]), attempt.acting_as(claims) as me:
        verdict = _nobody_sees(attempt, me, "a caller who promoted themselves")
    return verdict or held("metadata that users edit grants nothing")


@attack("context", tries="Claims to be super admin, while the account is not.",
        gains="All tenants, if policies trust the token instead of the account.")  # fmt: skip
def super_flag_in_claims(attempt: Attempt) -> AttackVerdict:
    more = {
        "app_metadata": {"super_admin": True, "is_super": True},
        "super_admin": True,
        "is_super": True,
        "is_admin": True,
    }
    with attempt.acting_as({**attempt.world.claims(attempt.world.nobody), **more}) as me:
        verdict = _nobody_sees(attempt, me, "a caller who claims to be super admin")
    return verdict or held("only the account decides who is super admin")


@attack("context", tries="Claims the role service_role, or the owner's.", gains="A role that no policy binds.")
def service_role_in_claims(attempt: Attempt) -> AttackVerdict:
    roles = attempt.manifest.database_roles
    owner = attempt.project.target.tables[0].owner
    for name in (roles.service, roles.definer, owner, "postgres"):
        with attempt.bare() as me:
            with suppress(psycopg.errors.InvalidAuthorizationSpecification), me.connection.transaction():
                attempt.open(me, {**attempt.world.claims(attempt.world.nobody), "role": name})
            taken = me.run(f"set local role {ident(name)}")
            if taken.ok:
                return broken(f"the application's login takes the role {name}")
            me.raw(f"set local role {ident(attempt.world.client)}")
            verdict = _nobody_sees(attempt, me, f"a caller who claims to be {name}")
            if verdict is not None:
                return verdict
    return held("the login takes no such role, and the claim gives nothing")


# -- rights that have just ended ---------------------------------------------------------------------------------------


@attack("context", tries="Keeps reading after another session removed the membership a moment ago.",
        gains="A tenant's rows after leaving it.")  # fmt: skip
def removed_member(attempt: Attempt) -> AttackVerdict:
    person = attempt.world.nobody
    with attempt.world.member(person, OWN, attempt.manifest.roles.order[-1]), attempt.acting_as(person) as me:
        before = _sees(attempt, me, attempt.attacker)
    with attempt.acting_as(person) as me:
        after = _sees(attempt, me, attempt.attacker)
    return _ended(before, after, "whose membership was removed")


def _ended(before: int, after: int, who: str) -> AttackVerdict:
    if after:
        return broken(f"a caller {who} still sees {after} rows of the tenant")
    if not before:
        return not_applicable("a member sees no row, so no access could end")
    return held(f"{before} rows were seen before, none after")


@attack("context", tries="Keeps reading in a transaction that is open while the membership is removed in another session.",
        gains="A tenant's rows for as long as a transaction stays open.")  # fmt: skip
def removed_member_in_the_transaction(attempt: Attempt) -> AttackVerdict:
    person = attempt.world.nobody
    session = attempt.connect()
    membership = attempt.world.member(person, OWN, attempt.manifest.roles.order[-1])
    membership.__enter__()
    inside = True
    try:
        with attempt.acting_as(person, session) as me:
            before = _sees(attempt, me, attempt.attacker)
            inside = False
            membership.__exit__(None, None, None)
            after = _sees(attempt, me, attempt.attacker)
    finally:
        if inside:
            membership.__exit__(None, None, None)
    return _ended(before, after, "whose membership was removed during the transaction")


def _violating(attempt: Attempt, table: Table, condition: str, where: str) -> str | None:
    """Return an assignment after which a row no longer fulfils a condition, found by trying; None if there is none."""
    owner, name = attempt.world.owner, ident(table.schema, table.name)
    columns = [
        column for column in table.columns if column.name in columns_in(condition, table) and column.generated is None
    ]
    for column in columns:
        values = (
            [None, *candidates(attempt.project.target, table, column)]
            if column.nullable
            else list(candidates(attempt.project.target, table, column))
        )
        for value in itertools.islice(values, 30):
            assignment = f"{ident(column.name)} = {literal(value)}::{column.type}"
            try:
                with owner.transaction(force_rollback=True):
                    row = owner.execute(
                        f"update {name} set {assignment} where {where} returning ({condition}) is not true".encode()
                    ).fetchone()
            except psycopg.Error:
                continue
            if row is not None and row[0] is True:
                return assignment
    return None


@attack("context", tries="Reads with a membership that was suspended during the transaction.",
        gains="A tenant's rows for a suspended member.")  # fmt: skip
def inactive_membership(attempt: Attempt) -> AttackVerdict:
    condition = attempt.manifest.membership.active
    if condition is None:
        return not_applicable("memberships cannot be suspended ([membership] active)")
    person = attempt.world.nobody
    with attempt.world.member(person, OWN, attempt.manifest.roles.order[-1]) as row:
        assignment = _violating(attempt, row.table, condition, row.where)
        if assignment is None:
            return not_applicable(f"no value was found with which {condition} does not hold")
        name = ident(row.table.schema, row.table.name)
        with attempt.acting_as(person) as me:
            before = _sees(attempt, me, attempt.attacker)
            attempt.world.owner.execute(f"update {name} set {assignment} where {row.where}".encode())
            after = _sees(attempt, me, attempt.attacker)
    return _ended(before, after, "whose membership was suspended")


@attack(
    "context",
    tries="Reads a tenant that was closed during the transaction.",
    gains="The rows of a tenant that is closed.",
)
def inactive_tenant(attempt: Attempt) -> AttackVerdict:
    condition = attempt.manifest.tenant.active
    if condition is None:
        return not_applicable("tenants cannot be closed ([tenant] active)")
    root = attempt.project.target.table(attempt.manifest.tenant.table)
    assert root is not None
    where = f"id = {literal(attempt.own)}"
    assignment = _violating(attempt, root, condition, where)
    if assignment is None:
        return not_applicable(f"no value was found with which {condition} does not hold")
    name = ident(root.schema, root.name)
    column = assignment.partition(" = ")[0]
    kept = attempt.world.ask(f"select {column}::text from {name} where {where}")[0][0]
    kind = assignment.rpartition("::")[2]
    undo = f"update {name} set {column} = {literal(kept)}::{kind} where {where}"
    with attempt.acting_as(attempt.attacker) as me:
        before = _sees(attempt, me, attempt.attacker)
        with attempt.world.changed(f"update {name} set {assignment} where {where}", undo):
            after = _sees(attempt, me, attempt.attacker)
    return _ended(before, after, "whose tenant was closed")


def _account_ended(attempt: Attempt, assignment: str, undo: str, who: str) -> AttackVerdict:
    person = attempt.attacker
    where = f" where id = {literal(person.uid)}"
    with attempt.acting_as(person) as me:
        before = _sees(attempt, me, person)
        with attempt.world.changed(
            f"update auth.users set {assignment}{where}", f"update auth.users set {undo}{where}"
        ):
            after = _sees(attempt, me, person)
    return _ended(before, after, who)


@attack(
    "context",
    tries="Keeps reading in the second in which the account is banned.",
    gains="Rows after a ban, until the token ends.",
)
def banned_account(attempt: Attempt) -> AttackVerdict:
    return _account_ended(attempt, "banned_until = 'infinity'", "banned_until = null", "who was banned")


@attack(
    "context",
    tries="Keeps reading in the second in which the account is deleted.",
    gains="Rows after the account was deleted.",
)
def deleted_account(attempt: Attempt) -> AttackVerdict:
    return _account_ended(attempt, "deleted_at = now()", "deleted_at = null", "whose account was deleted")


@attack("context", tries="Continues as super admin in a transaction that is open while the flag is removed.",
        gains="All tenants, for as long as a transaction stays open.")  # fmt: skip
def demoted_super_admin(attempt: Attempt) -> AttackVerdict:
    person = attempt.world.person("super admin")
    where = f" where id = {literal(person.uid)}"
    with attempt.acting_as(person) as me:
        before = _sees(attempt, me, attempt.attacker)
        taken = f"update auth.users set raw_app_meta_data = '{{}}'{where}"
        given = f"update auth.users set raw_app_meta_data = '{{\"super_admin\": true}}'{where}"
        with attempt.world.changed(taken, given):
            after = _sees(attempt, me, attempt.attacker)
    return _ended(before, after, "who is no longer super admin")


# -- members of two tenants, and the next user of a connection ------------------------------------------------------------


@attack("context", tries="As the lowest member of one tenant and administrator of another, does in the first what only its"
        " administrators may.", gains="Every tenant that accepts the attacker as a guest.")  # fmt: skip
def administrator_elsewhere(attempt: Attempt) -> AttackVerdict:
    order = attempt.manifest.roles.order
    if len(order) < 2:
        return not_applicable("there is but one role")
    person = attempt.world.person(f"{order[0]} here, {order[-1]} elsewhere")
    tried = 0
    with attempt.acting_as(person) as me:
        for target in attempt.world.targets(person):
            rows = [
                row
                for row in (*target.visible, *attempt.world.fixtures.rows[target.table.name])
                if row.facts.tenant == OWN
            ]
            for row in rows[:2]:
                statements = []
                if not attempt.world.may(person, "select", row.facts) and target.readable:
                    statements.append(f"select 1 from {target.name} where {row.where}")
                if not attempt.world.may(person, "update", row.facts) and target.updatable:
                    column = ident(target.updatable[0])
                    statements.append(f"update {target.name} set {column} = {column} where {row.where}")
                if not attempt.world.may(person, "delete", row.facts) and target.deletable:
                    statements.append(f"delete from {target.name} where {row.where}")
                for statement in statements:
                    answer = me.run(statement, undo=True)
                    tried += 1
                    if answer.touched or answer.sqlstate.startswith("23"):
                        return broken(f"{person.label}: {statement.split()[0]} reaches {target.table.name} here")
    if not tried:
        return not_applicable(f"{order[0]} may do all that {order[-1]} may")
    return held(f"{tried} statements reached no row")


@attack("context", tries="Uses, without a context, a pooled connection on which another user's transaction has just ended.",
        gains="To act as the previous user.")  # fmt: skip
def context_left_on_a_pooled_connection(attempt: Attempt) -> AttackVerdict:
    with attempt.pool() as pool:
        with (
            pool.connection() as connection,
            attempt.acting_as(attempt.victim, AttackSession(connection), keep=True) as session,
        ):
            session.run("select 1")
        with pool.connection() as connection, attempt.bare(attempt.world.client, AttackSession(connection)) as me:
            verdict = _nobody_sees(attempt, me, "the next user, without a context,")
        if verdict is None:
            with pool.connection() as connection, attempt.acting_as(attempt.attacker, AttackSession(connection)) as me:
                found = attempt.foreign_rows(me)
                verdict = broken(f"the next user sees {found}") if found else None
    return verdict or held("the next user acts as nobody, or as themselves")


@attack("context", tries="Continues on the same connection after the application's transaction failed.",
        gains="The context of a request that ended with an error.")  # fmt: skip
def context_after_an_error(attempt: Attempt) -> AttackVerdict:
    with attempt.pool() as pool:
        try:
            with (
                pool.connection() as connection,
                attempt.acting_as(attempt.victim, AttackSession(connection), keep=True) as session,
            ):
                session.connection.execute(b"select 1 / 0")
        except psycopg.errors.DivisionByZero:
            pass
        with pool.connection() as connection, attempt.bare(attempt.world.client, AttackSession(connection)) as me:
            verdict = _nobody_sees(attempt, me, "the user after an error, without a context,")
    return verdict or held("the next user acts as nobody")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
