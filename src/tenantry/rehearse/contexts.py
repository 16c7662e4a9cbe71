"""Who writes the target in a rehearsal: a member of the tenant whose row is written, in a context that is opened for each write.

The key that opens the contexts is drawn for the rehearsal, and what people lack to write (an account, or rights in a tenant without
members) is given to them for its time. All of that stands in the copy only, and is taken back there too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from tenantry.access.seal_keys import draw_key
from tenantry.journal.ddl import proof_fixture_ddl
from tenantry.journal.journal import Connection
from tenantry.mapping import Project
from tenantry.mapping.project import ROW_ID
from tenantry.postgres import ident, literals, verbatim
from tenantry.postgres.seal import SealKey, claims_text, open_context

_SECONDS = 60
"""How long claims hold; each write has its own."""
_LIVE = "a.deleted_at is null and a.forgotten_at is null and (a.banned_until is null or a.banned_until <= clock_timestamp())"


@dataclass
class ClientContexts:
    """Opens contexts in a copy, on behalf of the people in it.

    Attributes:
        owner: the migrator's connection to the copy: what it writes is not captured.
        key: with which contexts are opened; None where claims are not sealed.
    """

    owner: Connection
    project: Project
    key: SealKey | None
    _members: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """By tenant, the member with the highest role: profile and account."""
    _accounts: dict[str, str] = field(default_factory=dict)
    """By profile, the account that was made for it."""
    _stand_in: str | None = None
    """An account that writes where a tenant has no member."""
    _was_super: bool | None = None
    """What the mirror said of that account; None: nothing."""

    def account_for(self, tenant: str | None, account: str | None = None) -> str:
        """Whose context a row is written in: that of its tenant's member with the highest role; where there is none, a super
        admin's.

        Args:
            account: the account that the row itself is about, as that of a profile.
        """
        if account is not None and self._is_live(account):
            return account
        if tenant is None or tenant not in self._members:
            return self._super_admin()
        profile, found = self._members[tenant]
        return found or self._made(profile)

    def open(self, connection: Connection, account: str) -> None:
        """Open the context of an account in the connection's transaction, which then runs in the role of signed-in clients.

        Raises:
            psycopg.Error: the database refused it.
        """
        client = self.project.manifest.database_roles.authenticated
        claims = claims_text(
            {"sub": account, "role": client, "aud": client, "exp": int(time.time()) + _SECONDS}
        )  # fmt: skip
        if self.key is None:
            connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        else:
            connection.execute("set local role none")
            open_context(connection, self.key, claims)
        connection.execute(f"set local role {ident(client)}".encode())

    # -- people ------------------------------------------------------------------------------------------------------

    def find_members(self) -> None:
        """Of each tenant the member with the highest role; those whose account lets them in come first."""
        manifest = self.project.manifest
        membership, tenant = manifest.membership, ident(manifest.tenant.column)
        profile, roles = ident(membership.profile), literals(manifest.roles.order)
        table = ident(self.project.target.schema, membership.table)
        rows = self.owner.execute(
            "select distinct on (m.tenant) m.tenant, p.profile, p.account"
            f" from (select {tenant}::text as tenant, {profile}::text as profile, ({membership.active or 'true'}) is true as counts,"
            f" array_position(array[{roles}]::text[], {ident(membership.role)}::text) as rank from {verbatim(table)}) as m"
            f" join ({self._people()}) as p on p.profile = m.profile where p.lives"
            " order by m.tenant, m.counts desc, p.account is null, m.rank desc nulls last, p.profile"
        )
        self._members = {str(of): (str(person), account) for of, person, account in rows}

    def _people(self) -> str:
        """A query: profiles with their accounts; an account that is banned or gone gives nothing, whoever has it."""
        users = self.project.manifest.users
        if users is None:
            return f"select a.user_id::text as profile, a.user_id::text as account, a.is_super, {_LIVE} as lives from tenantry.account as a"
        profiles, account = ident(self.project.target.schema, users.profile), ident(users.account)
        return (
            f"select p.{ident(ROW_ID)}::text as profile, p.{account}::text as account, coalesce(a.is_super, false) as is_super,"
            f" p.{account} is null or coalesce({_LIVE}, false) as lives"
            f" from {verbatim(profiles)} as p left join tenantry.account as a on a.user_id = p.{account}"
        )

    def _is_live(self, account: str) -> bool:
        query = f"select from tenantry.account as a where a.user_id = %s and {_LIVE}"
        return self.owner.execute(query.encode(), [account]).fetchone() is not None

    def _super_admin(self) -> str:
        if self._stand_in is None:
            row = self.owner.execute(
                f"select p.profile, p.account from ({self._people()}) as p where p.lives"
                " order by p.account is null, p.is_super desc, p.profile limit 1"
            ).fetchone()
            if row is None:
                self._stand_in = str(uuid4())
            else:
                self._stand_in = str(row[1]) if row[1] is not None else self._made(str(row[0]))
            known = self.owner.execute(
                "select is_super from tenantry.account where user_id = %s", [self._stand_in]
            ).fetchone()
            self._was_super = None if known is None else bool(known[0])
            # In the mirror alone, which changes only with auth.users.
            self.owner.execute(
                "insert into tenantry.account (user_id, is_super) values (%s, true)"
                " on conflict (user_id) do update set is_super = true",
                [self._stand_in],
            )
        return self._stand_in

    def _made(self, profile: str) -> str:
        """An account for a person who has none yet; journalled like those of a proof, so that nothing else is made of it."""
        users = self.project.manifest.users
        assert users is not None
        if profile not in self._accounts:
            account, client = str(uuid4()), self.project.manifest.database_roles.authenticated
            with self.owner.transaction():
                self.owner.execute(proof_fixture_ddl())
                self.owner.execute(
                    "insert into tenantry.proof_fixture (table_schema, table_name, key) values ('auth', 'users', %s)",
                    [json.dumps({"id": account})],
                )
                self.owner.execute(
                    "insert into auth.users (id, aud, role, email) values (%s, %s, %s, %s)",
                    [account, client, client, f"{account}@tenantry-rehearsal.invalid"],
                )
                self._link(profile, account)
            self._accounts[profile] = account
        return self._accounts[profile]

    def _link(self, profile: str, account: str | None) -> None:
        users = self.project.manifest.users
        assert users is not None
        table = ident(self.project.target.schema, users.profile)
        self.owner.execute(
            f"update {verbatim(table)} set {verbatim(ident(users.account))} = %s where {verbatim(ident(ROW_ID))} = %s".encode(),
            [account, profile],
        )

    def take_back(self) -> None:
        """Leave nothing of the key and of what people were given."""
        with self.owner.transaction():
            if self.key is not None:
                self.owner.execute("delete from tenantry.seal_key where kid = %s", [self.key.kid])
            if self._stand_in is not None:
                if self._was_super is None:
                    self.owner.execute("delete from tenantry.account where user_id = %s", [self._stand_in])
                else:
                    self.owner.execute(
                        "update tenantry.account set is_super = %s where user_id = %s",
                        [self._was_super, self._stand_in],
                    )
            for profile, account in self._accounts.items():
                self._link(profile, None)
                self.owner.execute("delete from auth.users where id = %s", [account])
                self.owner.execute("delete from tenantry.proof_fixture where key ->> 'id' = %s", [account])


@contextmanager
def client_contexts(owner: Connection, project: Project) -> Iterator[ClientContexts]:
    """What opens contexts in a copy for as long as this lasts."""
    sealed = project.manifest.context.sealed
    contexts = ClientContexts(owner, project, draw_key(owner, f"rehearsal-{uuid4().hex[:12]}") if sealed else None)
    try:
        contexts.find_members()
        yield contexts
    finally:
        if not owner.closed:
            contexts.take_back()


__all__ = ["ClientContexts", "client_contexts"]
