"""Attacks that escape from the role and the transaction that the application opened."""

from __future__ import annotations

from collections.abc import Iterator

from tenantry.postgres import ident, literal
from tenantry.postgres.seal import claims_text
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt
from tenantry.prove.attacks.harness.helpers import refused
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module
from tenantry.prove.attacks.harness.rights import right


def _escaped(attempt: Attempt, *statements: str, role: str | None = None) -> AttackVerdict:
    """Run these statements in the attacker's transaction, then look for visible rows of the other tenant."""
    with attempt.acting_as(attempt.attacker) as me:
        answers = [me.raw(statement) for statement in statements]
        if role is not None:
            me.raw(f"set role {ident(role)}")
        found = attempt.foreign_rows(me)
    if found:
        return broken(f"after {statements[-1]} the attacker sees {found}")
    refused = [str(answer) for answer in answers if not answer.ok]
    return held(f"refused: {refused[-1]}" if refused else "no row of the other tenant was seen")


@attack(
    "session",
    tries="RESET ROLE, to become the login itself.",
    gains="The rights of the application's login, whatever they are.",
)
def reset_role(attempt: Attempt) -> AttackVerdict:
    return _escaped(attempt, "reset role")


@attack(
    "session",
    tries="SET ROLE to every role of the cluster: service, owner, definer, superusers, pg_read_all_data.",
    gains="Whatever that role may.",
    source="https://www.postgresql.org/docs/current/sql-set-role.html",
    rights=right("login_becomes"),
)
def set_role(attempt: Attempt) -> AttackVerdict:
    clients = (attempt.world.client, attempt.manifest.database_roles.anon)
    names = [
        row[0] for row in attempt.world.ask("select rolname::text from pg_roles order by 1") if row[0] not in clients
    ]
    with attempt.acting_as(attempt.attacker) as me:
        login = me.run("select session_user::text").value
        for name in names:
            if name != login and me.run(f"set local role {ident(name)}", undo=True).ok:
                return broken(f"the attacker becomes {name}")
    return held(f"{len(names) - 1} roles are refused")


@attack(
    "session",
    tries="SET SESSION AUTHORIZATION to the owner, the service and superusers.",
    gains="To become another login permanently.",
    source="https://www.postgresql.org/docs/current/sql-set-session-authorization.html",
    rights=right("login_becomes"),
)
def set_session_authorization(attempt: Attempt) -> AttackVerdict:
    roles = attempt.manifest.database_roles
    supers = [row[0] for row in attempt.world.ask("select rolname::text from pg_roles where rolsuper limit 3")]
    owners = [attempt.project.target.tables[0].owner] if attempt.project.target.tables else []
    with attempt.acting_as(attempt.attacker) as me:
        me.raw("reset role")
        for name in filter(None, (*supers, *owners, roles.service, roles.definer, roles.backup)):
            if me.run(f"set session authorization {ident(name)}", undo=True).ok:
                return broken(f"the session becomes {name}")
    return held("refused for every role with more rights")


@attack(
    "session",
    tries="As an anonymous client, takes the role of signed-in users.",
    gains="Rows that policies grant to everyone with that role.",
)
def visitor_takes_the_client_role(attempt: Attempt) -> AttackVerdict:
    with attempt.bare(attempt.manifest.database_roles.anon) as me:
        me.raw(f"set local role {ident(attempt.world.client)}")
        found = attempt.any_rows(me)
        for target in attempt.world.targets(attempt.world.nobody):
            row = next((row for row in target.visible if not attempt.world.may(None, "select", row.facts)), None)
            if (
                not found
                and row is not None
                and target.readable
                and me.run(f"select count(*) from {target.name} where {row.where}").number
            ):
                found = f"rows of {target.table.name}"
    return broken(f"an anonymous client sees {found}") if found else held("the role alone shows no row")


@attack(
    "session",
    tries="RESET ALL and DISCARD, within the transaction and after it.",
    gains="A session without the limits that the application set.",
    source="https://www.postgresql.org/docs/current/sql-discard.html",
)
def reset_all(attempt: Attempt) -> AttackVerdict:
    first = _escaped(attempt, "reset all")
    if first.outcome == "broken":
        return first
    return _escaped(attempt, "commit", "discard all", role=attempt.world.client)


@attack(
    "session",
    tries="Sends COMMIT, then takes the client role again and continues without a context.",
    gains="A transaction that the application did not open.",
)
def commit_inside(attempt: Attempt) -> AttackVerdict:
    return _escaped(attempt, "commit", "begin", role=attempt.world.client)


@attack(
    "session",
    tries="Sends several statements as one text: ends the transaction, takes the role, sets the claims of another.",
    gains="An effect that no single statement is allowed to have.",
)
def several_statements(attempt: Attempt) -> AttackVerdict:
    text = literal(claims_text(attempt.world.claims(attempt.victim)))
    return _escaped(
        attempt,
        f"select 1; commit; begin; set local role {ident(attempt.world.client)};"
        f" select set_config('request.jwt.claims', {text}, true)",
    )


@attack(
    "session",
    tries="Tries all of this within a DO block: roles, claims, dynamic SQL, with errors caught and ignored.",
    gains="Code that continues after every refusal.",
    source="https://www.postgresql.org/docs/current/sql-do.html",
)
def do_block(attempt: Attempt) -> AttackVerdict:
    roles = attempt.manifest.database_roles
    claims = literal(claims_text(attempt.world.claims(attempt.victim)))
    tables = [target for target in attempt.targets() if target.readable]
    body = [f"perform set_config('request.jwt.claims', {claims}, true);"]
    body += [f"set local role {ident(name)};" for name in (roles.service, roles.definer, roles.backup)]
    body += ["set local row_security = off;"]
    queries = [
        f"select count(*) into n from {target.name} where {target.hidden[0].where};"
        f" if n > 0 then raise notice 'seen: %', {literal(target.table.name)}; end if;"
        for target in tables
    ]
    blocks = " ".join(f"begin {each} exception when others then null; end;" for each in (*body, *queries))
    with attempt.acting_as(attempt.attacker) as me:
        answer = me.run(f"do $attack$ declare n bigint; begin {blocks} end $attack$")
    seen = [notice for notice in answer.notices if notice.startswith("seen: ")]
    if seen:
        return broken(f"a DO block sees rows of the other tenant: {seen[0].removeprefix('seen: ')}")
    return held(f"{len(queries)} tables showed nothing" if answer.ok else str(answer))


@attack(
    "session",
    tries="ROLLBACK TO a savepoint from before the context was opened.",
    gains="To act as the previous user.",
    source="https://www.postgresql.org/docs/current/sql-rollback-to.html",
)
def rollback_before_the_context(attempt: Attempt) -> AttackVerdict:
    session = attempt.connect()
    with attempt.bare(None, session) as me:
        me.raw("savepoint before")
        attempt.open(me, attempt.world.claims(attempt.attacker))
        me.raw(f"set local role {ident(attempt.world.client)}")
        me.raw("rollback to savepoint before")
        me.raw(f"set local role {ident(attempt.world.client)}")
        found = attempt.any_rows(me)
    return (
        broken(f"afterwards the attacker sees {found}")
        if found
        else held("afterwards there is no context, and no row is visible")
    )


@attack(
    "session",
    tries="Sets row_security off.",
    gains="Queries without policies, for a role with the right to bypass them.",
    source="https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-ROW-SECURITY",
)
def row_security_off(attempt: Attempt) -> AttackVerdict:
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.targets():
            if target.readable:
                me.run("set local row_security = off")
                answer = me.run(f"select count(*) from {target.name} where {target.hidden[0].where}")
                if answer.number:
                    return broken(f"{target.table.name} shows rows of the other tenant")
    return held("every query is refused, or shows no row")


@attack(
    "session",
    tries="Sets session_replication_role to replica.",
    gains="Writes without triggers and foreign keys: no audit, no audit columns, references to others' rows.",
    source="https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SESSION-REPLICATION-ROLE",
    rights=right("settings"),
)
def replication_role(attempt: Attempt) -> AttackVerdict:
    return refused(attempt, [("session_replication_role = replica", "set local session_replication_role = replica")])


@attack(
    "session",
    tries="Changes settings of the database or of the server: ALTER DATABASE, ALTER SYSTEM, ALTER ROLE of others.",
    gains="Every session begins as the attacker wants.",
    source="https://www.postgresql.org/docs/current/sql-altersystem.html",
)
def settings_of_others(attempt: Attempt) -> AttackVerdict:
    database = ident(str(attempt.world.ask("select current_database()::text")[0][0]))
    roles = attempt.manifest.database_roles

    def statements() -> Iterator[tuple[str, str]]:
        yield "ALTER DATABASE … SET", f"alter database {database} set search_path = planted"
        # Settings of client roles apply only at login, and client roles cannot log in.
        for role in (roles.service, roles.definer, roles.backup):
            yield f"ALTER ROLE {role} SET", f"alter role {ident(role)} set search_path = planted"
        yield "ALTER ROLE ALL SET", f"alter role all in database {database} set search_path = planted"

    first = refused(attempt, statements())
    if first.outcome == "broken":
        return first
    session = attempt.connect()
    if session.raw("alter system set log_statement = 'none'").ok:
        attempt.world.owner.execute("alter system reset log_statement")
        return broken("ALTER SYSTEM is not refused")
    return first


@attack(
    "session",
    tries="Reads with parallel workers, which are other processes with other ids.",
    gains="Rows, if a worker does not inherit the caller from its leader.",
    source="https://www.postgresql.org/docs/current/parallel-safety.html",
)
def parallel_workers(attempt: Attempt) -> AttackVerdict:
    forced = "debug_parallel_query" if attempt.world.version >= 16 else "force_parallel_mode"
    settings = (
        "set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0; set local min_parallel_table_scan_size = 0;"
        f" set local enable_indexscan = off; set local enable_bitmapscan = off; set local {forced} = on;"
        " set local parallel_leader_participation = off"
    )
    with attempt.acting_as(attempt.attacker) as me:
        alone = _visible(attempt, me)
        me.raw(settings)
        found = attempt.foreign_rows(me)
        together = _visible(attempt, me)
    if found:
        return broken(f"parallel workers show {found}")
    different = [name for name in alone if alone[name] != together[name]]
    if different:
        return broken(f"{different[0]}: {together[different[0]]} rows with workers, {alone[different[0]]} without")
    return held(f"{len(alone)} tables show the same rows with workers as without")


def _visible(attempt: Attempt, session: AttackSession) -> dict[str, int]:
    tables = [target for target in attempt.world.targets(attempt.attacker) if target.readable]
    return {target.table.name: session.run(f"select count(*) from {target.name}").number for target in tables}


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
