"""Finds a person with an account and a tenant, without a manifest, and the callers to try."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg

from tenantry.postgres import ident, load_blocks
from tenantry.prove.lint.scope import Scope
from tenantry.prove.matrix.discovered_tables import described_tables


@dataclass(frozen=True, slots=True)
class DiscoveredMember:
    """A person with an account, and the tenants that they are a member of."""

    account: str
    tenants: tuple[str, ...]
    former: tuple[str, ...] = ()
    """Tenants in which the person's membership is inactive by a flag; rows of these tenants are tried first."""
    person: str = ""
    """The columns and values by which memberships name the person."""


@dataclass(frozen=True, slots=True)
class DiscoveredCaller:
    label: str
    role: str
    account: str | None
    member: DiscoveredMember | None = None

    @property
    def claims(self) -> str:
        if self.account is None:
            return ""
        return json.dumps({"sub": self.account, "role": self.role, "aud": self.role})


def member_with_account(owner: psycopg.Connection[Any], scope: Scope, notes: list[str]) -> DiscoveredMember | None:
    """Return a member with an account and the fewest tenants (at least one); preferably one who is suspended in another tenant."""
    members = scope.membership or scope.owners
    if scope.user_owned:
        return _person(owner, scope, notes)
    if members is None or not members.user:
        notes.append("no memberships were found: no caller's own tenant is known, so only unknown accounts were tried")
        return None
    row = owner.execute(
        load_blocks("tenantry.prove.matrix", "without_manifest")["members"],
        {"relation": members.relation, "tenant": members.tenant, "user": members.user},
    ).fetchone()
    assert row is not None
    schema, table, tenant, user, people_schema, people, people_key, account = row
    whole = f"m.{ident(user)} as person, m.{ident(tenant)} as tenant, {_counts(owner, members.relation)} as counts"
    found = f"select m.{ident(user)} as account, {whole} from {ident(schema, table)} as m"
    if account is not None and (people_schema, people) != ("auth", "users"):
        found = (
            f"select p.{ident(account)} as account, {whole} from {ident(schema, table)} as m"
            f" join {ident(people_schema, people)} as p on p.{ident(people_key)} = m.{ident(user)}"
        )
    query = (
        "select account::text, array_agg(distinct tenant::text order by tenant::text) filter (where counts),"
        " coalesce(array_agg(distinct tenant::text) filter (where not counts), '{}'), min(person::text)"
        f" from ({found}) as f where account is not null and tenant is not null group by account having bool_or(counts)"
        " order by bool_and(counts), count(distinct tenant), 1 limit 1"
    )
    chosen = owner.execute(query.encode()).fetchone()
    if chosen is None:
        notes.append(
            "there is no member with an account: no caller's own tenant is known, so only unknown accounts were tried"
        )
        return None
    active = tuple(chosen[1])
    return DiscoveredMember(
        str(chosen[0]), active, tuple(each for each in chosen[2] if each not in active), str(chosen[3])
    )


_YES = re.compile(r"^(is_)?(active|enabled|accepted|confirmed|approved)$", re.IGNORECASE)


_NO = re.compile(r"^(is_)?(suspended|disabled|blocked|banned|revoked|removed|deleted|archived)$", re.IGNORECASE)


_SINCE = re.compile(r"^(deleted|left|suspended|revoked|removed|disabled|ended)_(at|on)$", re.IGNORECASE)


def _counts(owner: psycopg.Connection[Any], relation: int) -> str:
    """Return SQL that says whether a membership `m` counts, judged by the names of its columns."""
    rows = owner.execute(
        "select a.attname::text, t.typname::text from pg_catalog.pg_attribute as a"
        " join pg_catalog.pg_type as t on t.oid = a.atttypid"
        " where a.attrelid = %s and a.attnum > 0 and not a.attisdropped order by a.attnum",
        [relation],
    ).fetchall()
    found = ["true"]
    for name, kind in rows:
        if kind == "bool" and _YES.match(name):
            found.append(f"coalesce(m.{ident(name)}, true)")
        elif kind == "bool" and _NO.match(name):
            found.append(f"m.{ident(name)} is not true")
        elif kind in ("timestamptz", "timestamp", "date") and _SINCE.match(name):
            found.append(f"m.{ident(name)} is null")
    return f"({' and '.join(found)})"


def _person(owner: psycopg.Connection[Any], scope: Scope, notes: list[str]) -> DiscoveredMember | None:
    """Return a person who has rows of their own, for databases where each row belongs to a person."""
    for table in described_tables(
        owner, [oid for oid, _ in scope.tenant_columns], [n for _, n in scope.tenant_columns]
    ):
        column = ident(str(table[3]))
        row = owner.execute(
            f"select {column}::text from {ident(str(table[1]), str(table[2]))} where {column} is not null limit 1".encode()
        ).fetchone()
        if row is not None:
            return DiscoveredMember(str(row[0]), (str(row[0]),))
    notes.append("no caller has a row of their own: only strangers were tried")
    return None


def become(owner: psycopg.Connection[Any], caller: DiscoveredCaller) -> None:
    owner.execute(
        "select set_config('request.jwt.claims', %s, true), set_config('request.jwt.claim.sub', %s, true),"
        " set_config('request.jwt.claim.role', %s, true)",
        [caller.claims, caller.account or "", caller.role if caller.account else ""],
    )
    owner.execute(f"set local role {ident(caller.role)}".encode())


def callers_to_try(
    owner: psycopg.Connection[Any], scope: Scope, member: DiscoveredMember | None, notes: list[str]
) -> Iterator[DiscoveredCaller]:
    right = "SET" if owner.info.server_version >= 160000 else "MEMBER"
    for role in scope.clients:
        if owner.execute("select pg_has_role(session_user, %s, %s)", [role, right]).fetchone() != (True,):
            notes.append(f"{owner.info.user} cannot become {role}: nothing was tried as that role")
            continue
        yield DiscoveredCaller(f"{role}, no context", role, None)
        if role in scope.visitors or role in scope.logins:
            continue
        yield DiscoveredCaller(f"{role}, unknown account", role, str(uuid4()))
        if member is not None:
            yield DiscoveredCaller(f"{role}, member of one tenant", role, member.account, member)
