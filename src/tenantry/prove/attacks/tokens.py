"""Attacks on the token that opens a context."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator

from tenantry.postgres import ident, literal
from tenantry.postgres.seal import SealKey, claims_text
from tenantry.prove.attacks.claims import UNSEALED, became, victims_claims
from tenantry.prove.attacks.harness.attempt import AttackSession, Attempt, Claims
from tenantry.prove.attacks.harness.model import AttackVerdict, attack, broken, held, in_module, not_applicable

Tokens = Callable[[str], Iterator[tuple[str, Claims | str, str]]]
"""Returns tokens for the transaction with a challenge: (description, claims, token)."""


def challenge(session: AttackSession) -> str:
    """Return the challenge of the session's transaction, read as the login."""
    session.raw("reset role")
    return str(session.run("select tenantry.challenge()").value)


def _opened(attempt: Attempt, tokens: Tokens) -> AttackVerdict:
    """Try tokens; broken if one of them opens a context."""
    if attempt.world.key is None:
        return not_applicable(UNSEALED)
    tried = 0
    with attempt.bare() as me:
        for kind, claims, token in tokens(challenge(me)):
            text = claims if isinstance(claims, str) else claims_text(claims)
            me.raw("reset role")
            answer = me.run("select tenantry.open(%s, %s)", [text, token])
            me.raw(f"set local role {ident(attempt.world.client)}")
            found = attempt.foreign_rows(me)
            tried += 1
            if found:
                return broken(f"{kind}: the attacker sees {found}")
            if answer.ok and me.run("select tenantry.uid() is not null").value is True:
                return broken(f"{kind}: a context was opened")
    return held(f"{tried} tokens were refused")


def _good(attempt: Attempt, asked: str) -> tuple[SealKey, str, str]:
    """Return the application's key, the victim's claims and the token that would open them."""
    key = attempt.world.key
    assert key is not None
    claims = victims_claims(attempt)
    return key, claims, key.token(claims, asked)


@attack("session", tries="Opens a context with tokens of another key, under the real key's name and under names that do not exist.",
        gains="To act as anyone, without the application's secret.")  # fmt: skip
def token_of_another_key(attempt: Attempt) -> AttackVerdict:
    def tokens(asked: str) -> Iterator[tuple[str, Claims | str, str]]:
        key, claims, _ = _good(attempt, asked)
        for kid in (key.kid, "nobody", "0"):
            yield "a token of another key", claims, SealKey(kid, secrets.token_bytes(32)).token(claims, asked)
        yield "a token of a key of zeros", claims, SealKey(key.kid, bytes(32)).token(claims, asked)

    return _opened(attempt, tokens)


@attack(
    "session",
    tries="Cuts tokens off, at every part and in the middle of each.",
    gains="To act as anyone, if a prefix is enough.",
)
def token_cut_off(attempt: Attempt) -> AttackVerdict:
    def tokens(asked: str) -> Iterator[tuple[str, Claims | str, str]]:
        _, claims, token = _good(attempt, asked)
        for length in (
            0,
            1,
            token.index("."),
            token.rindex("."),
            token.rindex(".") + 1,
            len(token) - 32,
            len(token) - 1,
        ):
            yield f"a token of {length} characters", claims, token[:length]

    return _opened(attempt, tokens)


@attack("session", tries="Lengthens tokens: with digits, blanks, line ends, a second code after the first.",
        gains="To act as anyone, if a suffix is ignored.")  # fmt: skip
def token_lengthened(attempt: Attempt) -> AttackVerdict:
    def tokens(asked: str) -> Iterator[tuple[str, Claims | str, str]]:
        key, claims, token = _good(attempt, asked)
        forged = SealKey(key.kid, secrets.token_bytes(32)).token(claims, asked)
        for more in ("0", " ", "\n", ".", "." + token.rpartition(".")[2]):
            yield f"a forged token and {more[:1]!r}", claims, forged + more
            yield f"a token and {more[:1]!r}", claims, token + more
            yield f"{more[:1]!r} and a token", claims, more + token

    return _opened(attempt, tokens)


@attack("session", tries="Changes single characters in each part of a token, also between small and capital letters.",
        gains="To act as anyone, if the comparison is loose.")  # fmt: skip
def token_altered(attempt: Attempt) -> AttackVerdict:
    def tokens(asked: str) -> Iterator[tuple[str, Claims | str, str]]:
        _, claims, token = _good(attempt, asked)
        start = token.rindex(".") + 1
        for at in (0, token.index(".") + 1, start - 1, start, start + 31, len(token) - 1):
            other = "1" if token[at] != "1" else "2"
            yield f"a token with another character at {at}", claims, token[:at] + other + token[at + 1 :]
        yield "a token in capitals", claims, token[:start] + token[start:].upper().replace("0", "O")

    return _opened(attempt, tokens)


@attack(
    "session",
    tries="Uses tokens that are older than their lifetime, and ones from the future.",
    gains="A context from a token found in a log or a backup.",
)
def token_out_of_time(attempt: Attempt) -> AttackVerdict:
    context = attempt.manifest.context

    def tokens(asked: str) -> Iterator[tuple[str, Claims | str, str]]:
        key, claims, _ = _good(attempt, asked)
        late, early = context.lifetime + context.tolerance + 5, context.tolerance + 5
        for name, shift in (
            ("old", -late),
            ("a day old", -86400.0),
            ("from the future", early),
            ("of year 0", -time.time()),
        ):
            yield f"a token that is {name}", claims, key.token(claims, asked, now=time.time() + shift)

    return _opened(attempt, tokens)


@attack(
    "session",
    tries="Uses a valid token with other claims: another person's, another role, an additional blank.",
    gains="To act as anyone, with the attacker's own token.",
)
def token_for_other_claims(attempt: Attempt) -> AttackVerdict:
    def tokens(asked: str) -> Iterator[tuple[str, Claims | str, str]]:
        key, claims, _ = _good(attempt, asked)
        own = claims_text(attempt.world.claims(attempt.attacker))
        yield "the attacker's token with the victim's claims", claims, key.token(own, asked)
        yield "a token for claims with an additional blank", claims + " ", key.token(claims, asked)
        yield "a token for claims without their end", claims[:-1] + ',"role":"service_role"}', key.token(claims, asked)
        yield "a token for nothing", claims, key.token("", asked)

    return _opened(attempt, tokens)


@attack(
    "session",
    tries="Puts dots, other scripts' digits, line ends and null-like words between the parts of a token.",
    gains="A token that is parsed in another way than it was written.",
)
def token_with_odd_characters(attempt: Attempt) -> AttackVerdict:
    def tokens(asked: str) -> Iterator[tuple[str, Claims | str, str]]:
        _key, claims, token = _good(attempt, asked)
        kid, issued, mac = token.split(".")
        arabic = "".join(chr(0x0660 + int(digit)) for digit in issued)
        for odd in (
            f"{kid}.{arabic}.{mac}",
            f"{kid}..{mac}",
            f"{kid}.{issued}.{mac}.{mac}",
            f".{issued}.{mac}",
            f"{kid}.-{issued[1:]}.{mac}",
            f"{kid}.{issued}e0.{mac}",
            f"{kid}%.{issued}.{mac}",
            f"{kid}' or true --.{issued}.{mac}",
            f"{kid}\uff0e{issued}.{mac}",
            f"{kid}.{issued}.null",
            "null",
            "..",
        ):
            yield "a token with odd characters", claims, odd
        # The same signed bytes, split at another place.
        yield "claims that begin in the token", claims[1:], f"{kid}.{issued}.{mac}"

    return _opened(attempt, tokens)


@attack(
    "session",
    tries="Opens a context with a valid token over claims that have expired (exp), and with a retired key.",
    gains="Access after signing out, or with a revoked key.",
)
def token_of_an_ended_session(attempt: Attempt) -> AttackVerdict:
    key = attempt.world.key
    if key is None:
        return not_applicable(UNSEALED)

    def ended(asked: str) -> Iterator[tuple[str, Claims | str, str]]:
        claims = claims_text(attempt.world.claims(attempt.victim, exp=int(time.time()) - 1))
        yield "claims that have ended", claims, key.token(claims, asked)

    def retired(asked: str) -> Iterator[tuple[str, Claims | str, str]]:
        claims = victims_claims(attempt)
        yield "a retired key", claims, key.token(claims, asked)

    verdict = _opened(attempt, ended)
    if verdict.outcome == "held":
        kid = literal(key.kid)
        with attempt.world.changed(
            f"update tenantry.seal_key set not_after = now() where kid = {kid}",
            f"update tenantry.seal_key set not_after = null where kid = {kid}",
        ):
            return _opened(attempt, retired)
    return verdict


@attack(
    "session",
    tries="Calls tenantry.open() as a client, with a valid token.",
    gains="To act as the owner of a stolen token, from within injected SQL.",
)
def open_as_a_client(attempt: Attempt) -> AttackVerdict:
    key = attempt.world.key
    if key is None:
        return not_applicable(UNSEALED)
    claims = victims_claims(attempt)
    with attempt.acting_as(attempt.attacker) as me:
        asked = challenge(me)
        for role in (attempt.world.client, attempt.manifest.database_roles.anon):
            me.raw(f"set local role {ident(role)}")
            answer = me.run("select tenantry.open(%s, %s)", [claims, key.token(claims, asked)])
            if answer.ok:
                return broken(f"{role} may call tenantry.open()")
    return held(str(answer))


@attack(
    "session",
    tries="Opens a second context within the transaction, as the login, with invalid tokens, and checks the resulting identity.",
    gains="To act as another caller after a caught error.",
)
def open_twice(attempt: Attempt) -> AttackVerdict:
    key = attempt.world.key
    if key is None:
        return not_applicable(UNSEALED)
    claims = victims_claims(attempt)
    with attempt.acting_as(attempt.attacker) as me:
        asked = challenge(me)
        own = claims_text(attempt.world.claims(attempt.attacker))
        for token in (key.token(own, asked), key.token(claims, asked)[:-1], ""):
            me.raw("reset role")
            me.run("select tenantry.open(%s, %s)", [claims, token])
            me.run(
                "do $do$ begin perform tenantry.open(current_setting('request.jwt.claims'), 'x'); exception when others"
                " then null; end $do$"
            )
            me.raw(f"set local role {ident(attempt.world.client)}")
            verdict = became(attempt, me, "after a refused context")
            if verdict is not None:
                return verdict
    return held("a refused context changes nothing")


@attack(
    "session",
    tries="Searches for the token that opened another caller's context: in that session's settings, statements and cursors, and from another"
    " session in pg_stat_activity; uses any token that is found.",
    gains="To act as that caller until the token expires.",
    source="https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW",
)
def token_seen(attempt: Attempt) -> AttackVerdict:
    key = attempt.world.key
    if key is None:
        return not_applicable(UNSEALED)
    places = (
        "select current_query()",
        "select string_agg(setting, ' ') from pg_settings",
        "select string_agg(statement, ' ') from pg_prepared_statements",
        "select string_agg(statement, ' ') from pg_cursors",
        "select string_agg(query, ' ') from pg_stat_activity",
    )
    with attempt.bare() as other:
        attempt.open(other, attempt.world.claims(attempt.victim))
        with attempt.acting_as(attempt.attacker) as me:
            me.raw("reset role")
            answers = [me.run(places[-1])] + [other.run(place) for place in places]
    for answer in answers:
        seen = re.search(rf"{re.escape(key.kid)}\.[0-9]{{13}}\.[0-9a-f]{{64}}", f"{answer.value} {answer.text}")
        if seen is not None:
            return _replayed(attempt, victims_claims(attempt), seen.group(), "the token of another caller was seen")
    return held("the token is visible nowhere")


@attack(
    "session",
    tries="Uses a valid token of the victim's open transaction, as if it had leaked: from another session at the same time, and in"
    " the same session after ROLLBACK and after COMMIT.",
    gains="To act as the victim for as long as the token is valid.",
)
def token_used_elsewhere(attempt: Attempt) -> AttackVerdict:
    key = attempt.world.key
    if key is None:
        return not_applicable(UNSEALED)
    claims = victims_claims(attempt)
    session = attempt.connect()
    for end in ("rollback", "commit"):
        session.raw("begin")
        token = key.token(claims, challenge(session))
        if not session.run("select tenantry.open(%s, %s)", [claims, token]).ok:
            return not_applicable("the victim's own context does not open")
        for whose, where in (("another session", None), (f"the same session after {end}", session)):
            if where is not None:
                session.raw(end)
            verdict = _replayed(attempt, claims, token, f"in {whose}", where)
            if verdict.outcome == "broken":
                return verdict
    return held("a token opens one transaction of one session")


def _replayed(
    attempt: Attempt, claims: str, token: str, how: str, session: AttackSession | None = None
) -> AttackVerdict:
    """Open the victim's context with a leaked token."""
    with attempt.bare(None, session) as me:
        answer = me.run("select tenantry.open(%s, %s)", [claims, token])
        me.raw(f"set local role {ident(attempt.world.client)}")
        found = attempt.foreign_rows(me)
    if found:
        return broken(f"{how}: it opens the victim's context, and shows {found}")
    return held(f"{how}; used again it is refused: {answer}" if not answer.ok else f"{how}; it shows no row")


ATTACKS = in_module(globals())

__all__ = ["ATTACKS"]
