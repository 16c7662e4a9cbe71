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

    def __init__(self, ground: World) -> None:
        self.ground = ground
        self._stack = ExitStack()

    def __enter__(self) -> Attempt:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    # -- shortcuts ---------------------------------------------------------------------------------------------------

    @property
    def project(self) -> Project:
        return self.ground.project

    @property
    def manifest(self) -> Manifest:
        return self.ground.manifest

    @property
    def attacker(self) -> ProofPerson:
        return self.ground.attacker

    @property
    def victim(self) -> ProofPerson:
        return self.ground.victim

    @property
    def own(self) -> str:
        """The id of the attacker's tenant."""
        return self.ground.fixtures.tenants[OWN]

    @property
    def other(self) -> str:
        """The id of the tenant to which the attacker does not belong."""
        return self.ground.fixtures.tenants[OTHER]

    def preys(self, person: ProofPerson | None = None) -> tuple[TargetTable, ...]:
        """The tables with rows that a person (default: the attacker) must not see."""
        return tuple(prey for prey in self.ground.preys(person or self.attacker) if prey.hidden)

    def open_tables(self, person: ProofPerson | None = None) -> tuple[TargetTable, ...]:
        """The tables with rows that a person (default: the attacker) sees."""
        return tuple(prey for prey in self.ground.preys(person or self.attacker) if prey.visible and prey.readable)

    # -- connections -------------------------------------------------------------------------------------------------

    def connect(self) -> AttackSession:
        """Open a new session of the application's login, without a caller."""
        connection = psycopg.connect(self.ground.login_dsn, connect_timeout=10, **self._options)
        self._stack.callback(connection.close)
        connection.execute("set statement_timeout = '15s'; set lock_timeout = '3s'", prepare=False)
        return AttackSession(connection)

    @property
    def application(self) -> Application:
        return self.ground.application

    @property
    def _options(self) -> dict[str, Any]:
        """Return the connection options of an application that does not use the library."""
        options: dict[str, Any] = {"autocommit": True, "prepare_threshold": 0 if self.application.prepares else None}
        if self.application.pins and not self.application.library:
            options["options"] = start_options(self.ground.login_dsn)
        return options

    @contextmanager
    def pool(self) -> Iterator[ConnectionPool[Any]]:
        """Open the application's pool with a single connection, so that the next user gets the connection that was returned."""
        if self.application.library:
            made = tenant_pool(self.ground.login_dsn, min_size=1, max_size=1, timeout=10)
        else:
            made = ConnectionPool(
                self.ground.login_dsn,
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
    def turn(
        self, who: ProofPerson | Claims, seat: AttackSession | None = None, *, keep: bool = False
    ) -> Iterator[AttackSession]:
        """Run a transaction of the application on behalf of a person. It is rolled back at the end, or committed with `keep`.

        Args:
            who: a person, or claims that the application has verified.
            seat: an open connection; by default a new one is opened.
        """
        claims = self.ground.claims(who) if isinstance(who, ProofPerson) else dict(who)
        used = seat or self.connect()
        try:
            if self.application.library:
                roles = self.manifest.database_roles
                clients, schema = (roles.anon, roles.authenticated), self.project.target.schema
                with tenant(used.connection, claims, self.ground.key, schema=schema, roles=clients) as me:
                    _ = me.connection
                    yield used
                    if not keep:
                        raise psycopg.Rollback
            else:
                with self._plain_turn(used, claims):
                    yield used
                    if not keep:
                        raise psycopg.Rollback
        except (psycopg.Rollback, psycopg.errors.NoActiveSqlTransaction):
            pass  # rolled back; or the attacker ended it, which the library notices

    @contextmanager
    def _plain_turn(self, seat: AttackSession, claims: Claims) -> Iterator[None]:
        """Run the transaction of an application that does not use the library, and omits some of its steps."""
        if not self.application.local:
            self.open(seat, claims)
        with seat.connection.transaction():
            if self.application.local:
                self.open(seat, claims)
            seat.connection.execute(f"set local role {ident(self.ground.client)}".encode())
            if self.application.states_path:
                path = f"set local search_path = pg_catalog, {ident(self.project.target.schema)}, pg_temp"
                seat.connection.execute(path.encode())
            yield

    def open(self, seat: AttackSession, claims: Claims) -> None:
        """Open a context without the library, on a connection that is in a transaction."""
        text, key = claims_text(claims), self.ground.key
        if key is None:
            statement = f"select pg_catalog.set_config('request.jwt.claims', %s, {str(self.application.local).lower()})"
            values = [text]
        else:
            challenge = seat.connection.execute("select tenantry.challenge()").fetchone()
            assert challenge is not None
            statement, values = "select tenantry.open(%s, %s)", [text, key.token(text, challenge[0])]
        if self.application.binds:
            seat.connection.execute(statement.encode(), values)
        else:
            for value in values:
                statement = statement.replace("%s", literal(value), 1)
            seat.connection.execute(statement.encode())

    @contextmanager
    def bare(self, role: str | None = None, seat: AttackSession | None = None) -> Iterator[AttackSession]:
        """Run a transaction without a caller, under a client role or as the login itself; it is rolled back at the end."""
        used = seat or self.connect()
        with suppress(psycopg.Rollback), used.connection.transaction():
            if role is not None:
                used.connection.execute(f"set local role {ident(role)}".encode())
            path = f"set local search_path = pg_catalog, {ident(self.project.target.schema)}, pg_temp"
            used.connection.execute(path.encode())
            yield used
            raise psycopg.Rollback

    # -- visible rows ------------------------------------------------------------------------------------------------

    def foreign_rows(self, seat: AttackSession, person: ProofPerson | None = None) -> str:
        """Return where a session sees rows that the person (default: the attacker) must not see; empty if nowhere."""
        return self._found(seat, [(prey, prey.hidden) for prey in self.preys(person)], "hidden rows")

    def any_rows(self, seat: AttackSession) -> str:
        """Return where a session without a caller sees synthetic rows of any tenant; empty if nowhere."""
        chosen = []
        for prey in self.ground.preys(self.attacker):
            rows = [row for row in (*prey.visible, *prey.hidden) if row.facts.tenant is not None]
            chosen.append((prey, [row for row in rows if not self.ground.may(None, "select", row.facts)]))
        return self._found(seat, chosen, "rows")

    def _found(self, seat: AttackSession, chosen: Sequence[tuple[TargetTable, Sequence[FixtureRow]]], what: str) -> str:
        """Query all tables at once; query them one by one only if that finds rows or is refused."""
        counts = {
            prey.table.name: f"select count(*) from {prey.name} where {' or '.join(f'({row.where})' for row in rows)}"
            for prey, rows in chosen
            if rows and prey.readable
        }
        if not counts:
            return ""
        together = seat.run(f"select sum(n) from ({' union all '.join(counts.values())}) as c (n)")
        if together.ok and not together.number:
            return ""
        for name, statement in counts.items():
            number = seat.run(statement).number
            if number:
                return f"{number} {what} of {name}"
        return ""

    def leaked(self, text: str, besides: Sequence[str] = ()) -> bool:
        """Whether a text contains a value that occurs only in rows that the attacker must not see."""
        return any(mark in text for mark in self._marks if mark not in besides)

    @cached_property
    def _marks(self) -> frozenset[str]:
        return self.ground.marks(self.attacker)

    @property
    def marked(self) -> frozenset[str]:
        """The values that occur only in rows that the attacker must not see."""
        return self._marks

    @property
    def marks(self) -> list[str]:
        return sorted(self._marks)

    def relations(self) -> list[dict[str, Any]]:
        """Every relation with rows outside PostgreSQL's own schemas."""
        with self.ground.owner.cursor(row_factory=dict_row) as cursor:
            return list(cursor.execute(load_sql(SQL, "relations").encode()))

    def definer_functions(self) -> list[dict[str, Any]]:
        """The SECURITY DEFINER functions that clients may call."""
        roles = self.manifest.database_roles
        with self.ground.owner.cursor(row_factory=dict_row) as cursor:
            text = load_sql(SQL, "definer_functions").encode()
            return list(cursor.execute(text, {"client": roles.authenticated, "anon": roles.anon}))

    def unknown(self) -> str:
        """Return an id that does not exist."""
        return str(uuid4())


def _discard(connection: psycopg.Connection[Any]) -> None:
    connection.execute("discard all")


__all__ = ["SQL", "Application", "AttackSession", "Attempt", "Claims", "SessionAnswer", "TargetTable", "World"]
