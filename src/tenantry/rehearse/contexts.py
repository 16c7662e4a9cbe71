"""Contexts for writes of the target in a rehearsal: each write runs as a member of the row's tenant, in its own context.

The key of the contexts is drawn for the rehearsal. People who lack something to write (an account, or rights in a tenant without
members) get it for the rehearsal. All of this exists only in the copy, and is removed there too.
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
"""Seconds for which claims are valid; each write has its own."""
_LIVE = "a.deleted_at is null and a.forgotten_at is null and (a.banned_until is null or a.banned_until <= clock_timestamp())"


@dataclass
class ClientContexts:
    """Opens contexts in a copy, on behalf of its people.

    Attributes:
        owner: the migrator's connection to the copy, whose writes are not captured.
        key: the key that opens contexts; None if claims are not sealed.
    """

    owner: Connection
    project: Project
    key: SealKey | None
    _members: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Tenant → profile and account of the member with the highest role."""
    _accounts: dict[str, str] = field(default_factory=dict)
    """Profile → the account that was made for it."""
    _stand_in: str | None = None
    """The account that writes for tenants without a member."""
    _was_super: bool | None = None
    """The mirror's previous entry of that account; None: there was none."""

    def account_for(self, tenant: str | None, account: str | None = None) -> str:
        """Return the account in whose context a row is written: the tenant's member with the highest role; without members, a super
        admin's.

        Args:
            account: the account of the person that the row describes, e.g. of a profile.
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
        """Find the member with the highest role of each tenant, preferring people with a usable account."""
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
        """Return a query of profiles with their accounts; banned and deleted accounts give no access."""
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
            # Only in the mirror, which changes only with auth.users.
            self.owner.execute(
                "insert into tenantry.account (user_id, is_super) values (%s, true)"
                " on conflict (user_id) do update set is_super = true",
                [self._stand_in],
            )
        return self._stand_in

    def _made(self, profile: str) -> str:
        """Make an account for a person without one; journalled like those of a proof, so that triggers ignore it."""
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
        """Remove the key, and everything that people were given."""
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
    """Provide contexts in a copy for the duration of this context manager."""
    sealed = project.manifest.context.sealed
    contexts = ClientContexts(owner, project, draw_key(owner, f"rehearsal-{uuid4().hex[:12]}") if sealed else None)
    try:
        contexts.find_members()
        yield contexts
    finally:
        if not owner.closed:
            contexts.take_back()


__all__ = ["ClientContexts", "client_contexts"]
