"""The environment of one attack: the shared world, and its own connections, which are closed at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from tenantry.manifest.model import Manifest
from tenantry.mapping.project import Project
from tenantry.postgres import ident, literal, load_sql
from tenantry.postgres.seal import claims_text
from tenantry.postgres.stated import start_options
from tenantry.postgres.tenant import tenant, tenant_pool
from tenantry.prove.attacks.harness.session import AttackSession, SessionAnswer
from tenantry.prove.attacks.harness.world import SQL, Application, Claims, TargetTable, World
from tenantry.prove.expected.callers import OTHER, OWN, ProofPerson
from tenantry.prove.fixtures.build import FixtureRow


class Attempt:
    """One attack's access to the shared world, and its own connections; leaving the context closes them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._stack = ExitStack()

    def __enter__(self) -> Attempt:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    # -- shortcuts ---------------------------------------------------------------------------------------------------

    @property
    def project(self) -> Project:
        return self.world.project

    @property
    def manifest(self) -> Manifest:
        return self.world.manifest

    @property
    def attacker(self) -> ProofPerson:
        return self.world.attacker

    @property
    def victim(self) -> ProofPerson:
        return self.world.victim

    @property
    def own(self) -> str:
        """The id of the attacker's tenant."""
        return self.world.fixtures.tenants[OWN]

    @property
    def other(self) -> str:
        """The id of the tenant to which the attacker does not belong."""
        return self.world.fixtures.tenants[OTHER]

    def targets(self, person: ProofPerson | None = None) -> tuple[TargetTable, ...]:
        """The tables with rows that a person (default: the attacker) must not see."""
        return tuple(target for target in self.world.targets(person or self.attacker) if target.hidden)

    def open_tables(self, person: ProofPerson | None = None) -> tuple[TargetTable, ...]:
        """The tables with rows that a person (default: the attacker) sees."""
        return tuple(
            target for target in self.world.targets(person or self.attacker) if target.visible and target.readable
        )

    # -- connections -------------------------------------------------------------------------------------------------

    def connect(self) -> AttackSession:
        """Open a new session of the application's login, without a caller."""
        connection = psycopg.connect(self.world.login_dsn, connect_timeout=10, **self._options)
        self._stack.callback(connection.close)
        connection.execute("set statement_timeout = '15s'; set lock_timeout = '3s'", prepare=False)
        return AttackSession(connection)

    @property
    def application(self) -> Application:
        return self.world.application

    @property
    def _options(self) -> dict[str, Any]:
        """Return the connection options of an application that does not use the library."""
        options: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0 if self.application.prepares else None}
        if self.application.pins and not self.application.library:
            options["options"] = start_options(self.world.login_dsn)
        return options

    @contextmanager
    def pool(self) -> Iterator[ConnectionPool[Any]]:
        """Open the application's pool with a single connection, so that the next user gets the connection that was returned."""
        if self.application.library:
            made = tenant_pool(self.world.login_dsn, min_size=1, max_size=1, timeout=10)
        else:
            made = ConnectionPool(
                self.world.login_dsn,
                min_size=1,
                max_size=1,
                timeout=10,
                open=True,
                kwargs=self._options,
                reset=_discard if self.application.empties else None,
            )
        with made:
            yield made

    @contextmanager
    def acting_as(
        self, who: ProofPerson | Claims, session: AttackSession | None = None, *, keep: bool = False
    ) -> Iterator[AttackSession]:
        """Run a transaction of the application on behalf of a person. It is rolled back at the end, or committed with `keep`.

        Args:
            who: a person, or claims that the application has verified.
            session: an open connection; by default a new one is opened.
        """
        claims = self.world.claims(who) if isinstance(who, ProofPerson) else dict(who)
        used = session or self.connect()
        try:
            if self.application.library:
                roles = self.manifest.database_roles
                clients, schema = (roles.anon, roles.authenticated), self.project.target.schema
                with tenant(used.connection, claims, self.world.key, schema=schema, roles=clients) as me:
                    _ = me.connection
                    yield used
                    if not keep:
                        raise psycopg.Rollback
            else:
                with self._acting_without_library(used, claims):
                    yield used
                    if not keep:
                        raise psycopg.Rollback
        except (psycopg.Rollback, psycopg.errors.NoActiveSqlTransaction):
            pass  # rolled back; or the attacker ended it, which the library notices

    @contextmanager
    def _acting_without_library(self, session: AttackSession, claims: Claims) -> Iterator[None]:
        """Run the transaction of an application that does not use the library, and omits some of its steps."""
        if not self.application.local:
            self.open(session, claims)
        with session.connection.transaction():
            if self.application.local:
                self.open(session, claims)
            session.connection.execute(f"set local role {ident(self.world.client)}".encode())
            if self.application.states_path:
                path = f"set local search_path = pg_catalog, {ident(self.project.target.schema)}, pg_temp"
                session.connection.execute(path.encode())
            yield

    def open(self, session: AttackSession, claims: Claims) -> None:
        """Open a context without the library, on a connection that is in a transaction."""
        text, key = claims_text(claims), self.world.key
        if key is None:
            statement = f"select pg_catalog.set_config('request.jwt.claims', %s, {str(self.application.local).lower()})"
            values = [text]
        else:
            challenge = session.connection.execute("select tenantry.challenge()").fetchone()
            assert challenge is not None
            statement, values = "select tenantry.open(%s, %s)", [text, key.token(text, challenge[0])]
        if self.application.binds:
            session.connection.execute(statement.encode(), values)
        else:
            for value in values:
                statement = statement.replace("%s", literal(value), 1)
            session.connection.execute(statement.encode())

    @contextmanager
    def bare(self, role: str | None = None, session: AttackSession | None = None) -> Iterator[AttackSession]:
        """Run a transaction without a caller, under a client role or as the login itself; it is rolled back at the end."""
        used = session or self.connect()
        with suppress(psycopg.Rollback), used.connection.transaction():
            if role is not None:
                used.connection.execute(f"set local role {ident(role)}".encode())
            path = f"set local search_path = pg_catalog, {ident(self.project.target.schema)}, pg_temp"
            used.connection.execute(path.encode())
            yield used
            raise psycopg.Rollback

    # -- visible rows ------------------------------------------------------------------------------------------------

    def foreign_rows(self, session: AttackSession, person: ProofPerson | None = None) -> str:
        """Return where a session sees rows that the person (default: the attacker) must not see; empty if nowhere."""
        return self._found(session, [(target, target.hidden) for target in self.targets(person)], "hidden rows")

    def any_rows(self, session: AttackSession) -> str:
        """Return where a session without a caller sees synthetic rows of any tenant; empty if nowhere."""
        chosen = []
        for target in self.world.targets(self.attacker):
            rows = [row for row in (*target.visible, *target.hidden) if row.facts.tenant is not None]
            chosen.append((target, [row for row in rows if not self.world.may(None, "select", row.facts)]))
        return self._found(session, chosen, "rows")

    def _found(
        self, session: AttackSession, chosen: Sequence[tuple[TargetTable, Sequence[FixtureRow]]], what: str
    ) -> str:
        """Query all tables at once; query them one by one only if that finds rows or is refused."""
        counts = {
            target.table.name: f"select count(*) from {target.name} where {' or '.join(f'({row.where})' for row in rows)}"
            for target, rows in chosen
            if rows and target.readable
        }
        if not counts:
            return ""
        together = session.run(f"select sum(n) from ({' union all '.join(counts.values())}) as c (n)")
        if together.ok and not together.number:
            return ""
        for name, statement in counts.items():
            number = session.run(statement).number
            if number:
                return f"{number} {what} of {name}"
        return ""

    def leaked(self, text: str, besides: Sequence[str] = ()) -> bool:
        """Whether a text contains a value that occurs only in rows that the attacker must not see."""
        return any(mark in text for mark in self._marks if mark not in besides)

    @cached_property
    def _marks(self) -> frozenset[str]:
        return self.world.marks(self.attacker)

    @property
    def marked(self) -> frozenset[str]:
        """The values that occur only in rows that the attacker must not see."""
        return self._marks

    @property
    def marks(self) -> list[str]:
        return sorted(self._marks)

    def relations(self) -> list[dict[str, Any]]:
        """Every relation with rows outside PostgreSQL's own schemas."""
        with self.world.owner.cursor(row_factory=dict_row) as cursor:
            return list(cursor.execute(load_sql(SQL, "relations").encode()))

    def definer_functions(self) -> list[dict[str, Any]]:
        """The SECURITY DEFINER functions that clients may call."""
        roles = self.manifest.database_roles
        with self.world.owner.cursor(row_factory=dict_row) as cursor:
            text = load_sql(SQL, "definer_functions").encode()
            return list(cursor.execute(text, {"client": roles.authenticated, "anon": roles.anon}))

    def unknown(self) -> str:
        """Return an id that does not exist."""
        return str(uuid4())


def _discard(connection: psycopg.Connection[Any]) -> None:
    connection.execute("discard all")


__all__ = ["SQL", "Application", "AttackSession", "Attempt", "Claims", "SessionAnswer", "TargetTable", "World"]
