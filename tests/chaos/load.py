"""An application at work: `python -m tests.chaos.load <dsn> --seconds 10`, or without an end, under orders from stdin.

Several connections write at random, but the same for the same seed, and remember what the server acknowledged. When the
source refuses writes, because it was cut over, they wait until they are told to go to the other side. Orders are JSON
objects, one a line; each is answered by one:

    {"do": "begin", "dsn": "…", "options": {"seed": 7}} {"do": "pause"} {"do": "resume"} {"do": "state"} {"do": "stop"}
    {"do": "fenced", "seconds": 5} {"do": "switch", "side": "target"}
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors as pg

from tenantry.postgres import ident, literal, with_parameters
from tests.chaos import source_writes, target_writes
from tests.chaos.depot import writes as depot_writes
from tests.chaos.depot.rows import TABLES
from tests.chaos.ledger import Effects, Held, Ledger, Side, Token, only_in_source, read_tokens
from tests.chaos.source_writes import SourceWork
from tests.chaos.target_writes import TargetWork
from tests.chaos.work import Skip, TakenBack, Vanished, Work

ROOT = Path(__file__).parents[2]
APP: dict[Side, str] = {"source": "clinic_app", "target": "clinic_service"}
"""The logins of the old application and of the new one; neither is the migrator."""

# What an application meets in ordinary life, and tries again.
EXPECTED = frozenset({
    "23505", "23503", "23001",  # a key that another has taken, a row that another hangs on
    "40001", "40P01", "55P03", "57014",  # serialization, deadlock, lock and statement timeouts
    "57P01", "57P02", "57P03", "08000", "08003", "08006",  # the server or the connection went away
})  # fmt: skip
FENCED: dict[Side, frozenset[str]] = {
    "source": frozenset({"25006"}),
    # Before the cut-over, and after a rollback, the new application has no right to write.
    "target": frozenset({"25006", "42501"}),
}


_IN_THE_WAY = """
select regexp_replace(left(a.query, 80), '\\s+', ' ', 'g'), b.application_name || ' (' || b.state || ')',
       regexp_replace(left(b.query, 160), '\\s+', ' ', 'g')
  from pg_stat_activity a cross join unnest(pg_blocking_pids(a.pid)) p join pg_stat_activity b on b.pid = p
 where a.datname = current_database() and a.application_name = 'the application' and a.wait_event_type = 'Lock'
   and clock_timestamp() - a.query_start > interval '1 second'
"""


def make_app_roles(dsn: str, *, schema: str = "public", service: str = "service_role") -> None:
    """The applications' logins, and the old one's rights on the source. For a superuser; can be called again."""
    with psycopg.connect(with_parameters(dsn, dbname="postgres"), autocommit=True) as cluster:
        # Roles are the cluster's: whoever makes them holds everybody else off.
        cluster.execute("select pg_advisory_lock(4711)")
        for name in APP.values():
            cluster.execute(
                f"do $$ begin if to_regrole({literal(name)}) is null then create role {ident(name)} login; end if; end $$"
            )
        cluster.execute(
            f"do $$ begin if to_regrole({literal(service)}) is not null"
            f" and not pg_has_role({literal(APP['target'])}, {literal(service)}, 'USAGE') then"
            f" grant {ident(service)} to {ident(APP['target'])}; end if; end $$"
        )
    with psycopg.connect(dsn, autocommit=True) as admin:
        app = ident(APP["source"])
        admin.execute(f"grant usage on schema {ident(schema)} to {app}")
        admin.execute(
            f"grant select, insert, update, delete, truncate on all tables in schema {ident(schema)} to {app}"
        )
        admin.execute(f"grant usage on all sequences in schema {ident(schema)} to {app}")


@dataclass
class Speed:
    """How fast transactions went: seconds from the first statement to the commit's answer."""

    seconds: list[float] = field(default_factory=list)
    longest: float = 0.0
    longest_at: float = 0.0
    """When the longest began, in seconds since the epoch."""
    began: float = field(default_factory=time.time)

    def note(self, at: float, seconds: float) -> None:
        self.seconds.append(seconds)
        if seconds > self.longest:
            self.longest, self.longest_at = seconds, at

    def summary(self) -> dict[str, float]:
        ordered = sorted(self.seconds)
        elapsed = max(time.time() - self.began, 1e-9)

        def percentile(part: float) -> float:
            return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 if ordered else 0.0

        return {
            "transactions": len(ordered),
            "per_second": round(len(ordered) / elapsed, 1),
            "p50_ms": round(percentile(0.5), 2),
            "p99_ms": round(percentile(0.99), 2),
            "longest_ms": round(self.longest * 1000, 1),
            "longest_at": round(self.longest_at, 3),
        }


@dataclass(frozen=True, slots=True)
class State:
    """What a load knows when it stands still."""

    side: Side
    seed: int
    may_be: dict[str, dict[str, list[Token]]]
    """table → key → the tokens that the row may have; see tests.chaos.ledger."""
    elsewhere: dict[str, dict[str, list[Token]]]
    """Rows that only the source had when the target began to be written, with the tokens that they may have."""
    problems: list[str]
    """What must not happen to an application, and did."""
    transactions: dict[str, int]
    errors: dict[str, int]
    fenced: int
    doubtful: int
    speed: dict[str, float]
    held_up: list[str]
    """Who held transactions of the application up for more than a second, and with what."""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> State:
        return cls(**data)


class Load:
    """The application, in this process: a thread for each connection."""

    def __init__(
        self,
        dsn: str,
        *,
        seed: int = 1,
        connections: int = 3,
        side: Side = "source",
        truncate: bool = True,
        pause: float = 0.0,
        patience: float = 30.0,
        only: Sequence[str] = (),
        without: Sequence[str] = (),
        application: str = "clinic",
    ) -> None:
        """
        Args:
            application: whose tables are written: clinic or depot.
            only, without: names of transactions, to narrow a fault down.
            dsn: of a superuser; the connections log in as the applications' own roles, which must be there.
            pause: seconds that a connection rests after a transaction, on average.
            patience: seconds after which the application gives a statement up.
        """
        self.side: Side = side
        self._dsn = dsn
        self._seed, self._connections, self._truncate = seed, connections, truncate
        self._pause, self._patience = pause, patience
        self._only, self._without = tuple(only), tuple(without)
        self._application = application
        self.ledger = Ledger(TABLES if application == "depot" else ())
        self.speed = Speed()
        self.transactions: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.fenced = 0
        self.doubtful = 0
        self.held_up: list[str] = []
        self._stages = 0
        self._works: list[Work] = []
        self._threads: list[threading.Thread] = []
        self._go = threading.Event()
        self._end = threading.Event()
        self._change = threading.Condition()
        self._idle: set[int] = set()
        self._refused: set[int] = set()

    # -- orders ------------------------------------------------------------------------------------------------------

    def start(self) -> Load:
        self._prepare()
        self._go.set()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"load {number}", daemon=True)
            for number in range(self._connections)
        ]
        self._threads.append(threading.Thread(target=self._watch, name="load's watch", daemon=True))
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> State:
        """Let every connection end its transaction."""
        self._end.set()
        self._go.set()
        with self._change:
            self._change.notify_all()
        for thread in self._threads:
            thread.join(self._patience * 2)
            if thread.is_alive():
                self.ledger.problem(f"{thread.name} did not come to its end: a statement hangs")
        self._threads = []
        return self.state()

    def pause(self, seconds: float | None = None) -> bool:
        """Stand still between transactions; whether all do within so many seconds."""
        self._go.clear()
        return self._wait(lambda: len(self._idle | self._refused) == self._connections, seconds or self._patience * 2)

    def resume(self) -> None:
        with self._change:
            self._refused.clear()
        self._go.set()
        with self._change:
            self._change.notify_all()

    def wait_fenced(self, seconds: float) -> bool:
        """Whether, within so many seconds, every connection has been refused by the side that it writes."""
        return self._wait(lambda: len(self._refused) == self._connections, seconds)

    def switch(self, side: Side, only: Sequence[str] = ()) -> None:
        """Go to a side, and go on there with the rows that it has. All connections stand still."""
        if not self.pause():
            self.ledger.problem(f"a connection did not stand still for the change to the {side}")
        self.side, self._only = side, tuple(only)
        self._prepare()
        self.resume()

    def state(self) -> State:
        return State(
            self.side, self._seed, self.ledger.may_be(), self.ledger.elsewhere,
            list(self.ledger.problems), dict(self.transactions),
            dict(self.errors), self.fenced, self.doubtful, self.speed.summary(), list(self.held_up),
        )  # fmt: skip

    def _wait(self, condition: Any, seconds: float) -> bool:
        with self._change:
            return bool(self._change.wait_for(condition, seconds))

    # -- rows --------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Share the rows of a side out among the connections, and take their tokens as they are."""
        self._stages += 1
        if self._application == "depot":
            with psycopg.connect(self._dsn) as connection:
                connection.execute("set transaction isolation level repeatable read")
                self.ledger.begin(depot_writes.held(connection, self.side), [])
                self._works = depot_writes.works(
                    connection, self.side, self.ledger, self._connections, self._seed * 100 + self._stages,
                    self._only, self._without,
                )  # fmt: skip
            return
        with psycopg.connect(self._dsn) as connection:
            connection.execute("set transaction isolation level repeatable read")
            held: Held = read_tokens(connection, self.side)
            elsewhere = only_in_source(connection, held) if self.side == "target" else {}
            maker = source_writes if self.side == "source" else target_writes
            owners = maker.owners(connection, self._connections)
            shared: dict[str, list[Any]] = {
                "shared_clinics": [key for key, (_, row) in owners["clinics"].items()],
                "shared_sheets": list(owners["data_sources"]),
                "shared_definitions": [row.get("id", key) for key, (_, row) in owners["metric_definitions"].items()],
            }
        values = sorted(
            owners["metric_values"], key=lambda key: (owners["metric_values"][key][1]["clinic"] is None, key)
        )
        hot = [("metric_values", key) for key in values[:3]] + [("providers", min(owners["providers"]))]
        self.ledger.begin(held, hot, elsewhere)
        self._works = []
        for number in range(self._connections):
            kind: type[SourceWork | TargetWork] = SourceWork if self.side == "source" else TargetWork
            work = kind(
                number,
                self._seed * 100 + self._stages,
                self.ledger,
                truncate=self._truncate,
                only=self._only,
                without=self._without,
            )
            work.pool = {
                table: {
                    key: dict(row) for key, (owner, row) in rows.items() if owner == number and (table, key) not in hot
                }
                for table, rows in owners.items()
            }
            work.hot = hot
            for name, keys in shared.items():
                setattr(work, name, keys)
            self._works.append(work)

    # -- a connection ------------------------------------------------------------------------------------------------

    def _run(self, number: int) -> None:
        connection: psycopg.Connection[Any] | None = None
        try:
            while not self._end.is_set():
                self._rest(number)
                if self._end.is_set():
                    break
                work = self._works[number]
                try:
                    if connection is None or connection.closed or connection.info.user != APP[work.side]:
                        if connection is not None:
                            connection.close()
                        connection = self._connect(work.side)
                    self._transaction(number, connection, work)
                except psycopg.OperationalError as error:
                    self._note(error)
                    if connection is not None:
                        with contextlib.suppress(psycopg.Error):
                            connection.close()
                    connection = None
                    self._end.wait(0.05)
                if self._pause:
                    self._end.wait(work.rng.uniform(0, 2 * self._pause))
        except Exception:  # noqa: BLE001 - whatever it is, the test must hear of it
            self.ledger.problem(f"connection {number} of the load failed: {traceback.format_exc()}")
        finally:
            if connection is not None:
                connection.close()
            with self._change:
                self._idle.add(number)
                self._change.notify_all()

    def _watch(self) -> None:
        """Note who stands in the way of connections that wait for a lock."""
        while not self._end.wait(0.5):
            with (
                contextlib.suppress(psycopg.OperationalError),
                psycopg.connect(self._dsn, autocommit=True, application_name="the application's watch") as watch,
            ):
                while not self._end.wait(0.5):
                    for row in watch.execute(_IN_THE_WAY):
                        said = f"{row[0]} waits for {row[1]}: {row[2]}"
                        if said not in self.held_up and len(self.held_up) < 20:
                            self.held_up.append(said)

    def _rest(self, number: int) -> None:
        """Stand still while told to, or while refused."""
        with self._change:
            while not self._end.is_set() and (not self._go.is_set() or number in self._refused):
                self._idle.add(number)
                self._change.notify_all()
                self._change.wait(0.5)
            self._idle.discard(number)

    def _connect(self, side: Side) -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            with_parameters(self._dsn, user=APP[side]), application_name="the application", connect_timeout=5
        )
        connection.execute(f"set statement_timeout = '{self._patience:.0f}s'")
        connection.commit()
        return connection

    def _transaction(self, number: int, connection: psycopg.Connection[Any], work: Work) -> None:
        name = work.choose()
        at, began = time.time(), time.monotonic()
        try:
            work.do(name, connection)
        except Skip:
            connection.rollback()
            return
        except TakenBack:
            connection.rollback()
            self.transactions[name] += 1
            return
        except Vanished as vanished:
            connection.rollback()
            self.ledger.problem(f"{work.side}, {name}: rows are gone that only this connection writes: {vanished}")
            return
        except psycopg.Error as error:
            self._failed(number, connection, work, name, error)
            return
        try:
            connection.commit()
        except psycopg.Error as error:
            if error.sqlstate is None or error.sqlstate.startswith(("57P", "08")):
                # Perhaps the server had committed already.
                self.doubtful += 1
                self.ledger.perhaps(work.effects)
                work.doubt()
                raise
            self._failed(number, connection, work, name, error)
            return
        self.speed.note(at, time.monotonic() - began)
        self.ledger.acknowledged(work.effects)
        work.settle()
        self.transactions[name] += 1

    def _failed(
        self, number: int, connection: psycopg.Connection[Any], work: Work, name: str, error: psycopg.Error
    ) -> None:
        if error.sqlstate in FENCED[work.side]:
            connection.rollback()
            self.fenced += 1
            with self._change:
                self._refused.add(number)
                self._change.notify_all()
            return
        if connection.closed or error.sqlstate is None or isinstance(error, pg.AdminShutdown):
            raise error
        connection.rollback()
        self._note(error)
        if error.sqlstate not in EXPECTED:
            context = (error.diag.context or "").replace("\n", "; ")
            self.ledger.problem(
                f"{work.side}, {name}: the application was refused with {error.sqlstate} {error.diag.message_primary}"
                + (f" ({context})" if context else "")
            )

    def _note(self, error: psycopg.Error) -> None:
        self.errors[error.sqlstate or "connection lost"] += 1


# -- a process of its own ------------------------------------------------------------------------------------------------


class LoadProcess:
    """The application in another process, under orders; one load after another, so that imports are paid for once."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.load", "--under-orders"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def order(self, do: str, **more: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError("the application's process has died; see what it said on stderr")
        return json.loads(line)

    def begin(self, dsn: str, **options: object) -> None:
        """Start a load; the options are those of `Load`."""
        self.order("begin", dsn=dsn, options=options)

    def pause(self) -> bool:
        return bool(self.order("pause"))

    def resume(self) -> None:
        self.order("resume")

    def wait_fenced(self, seconds: float) -> bool:
        return bool(self.order("fenced", seconds=seconds))

    def switch(self, side: Side, only: Sequence[str] = ()) -> None:
        self.order("switch", side=side, only=list(only))

    def state(self) -> State:
        return State.from_json(self.order("state"))

    def stop(self) -> State:
        return State.from_json(self.order("stop"))

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def load_process() -> Iterator[LoadProcess]:
    load = LoadProcess()
    try:
        yield load
    finally:
        load.close()


def _obey() -> None:
    load: Load | None = None
    for line in sys.stdin:
        order = json.loads(line)
        answer: object = True
        if order["do"] == "begin":
            if load is not None:
                load.stop()
            make_app_roles(order["dsn"])
            load = Load(order["dsn"], **order["options"]).start()
        else:
            assert load is not None, "begin first"
            match order["do"]:
                case "pause":
                    answer = load.pause()
                case "resume":
                    load.resume()
                case "fenced":
                    answer = load.wait_fenced(order["seconds"])
                case "switch":
                    load.switch(order["side"], order.get("only", ()))
                case "state":
                    answer = asdict(load.state())
                case "stop":
                    answer = asdict(load.stop())
                case unknown:
                    raise AssertionError(f"no such order: {unknown}")
        print(json.dumps(answer), flush=True)  # noqa: T201 - this is the answer
    if load is not None:
        load.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description="An application that writes the Clinic, and remembers what it wrote.")
    parser.add_argument("dsn", nargs="?", help="of a superuser of the database; with orders it comes with them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=3)
    parser.add_argument("--side", choices=["source", "target"], default="source")
    parser.add_argument("--truncate", type=lambda text: text in ("True", "true", "1"), default=True)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--patience", type=float, default=30.0)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=[], help="names of transactions, with commas"
    )
    parser.add_argument("--without", type=lambda text: text.split(","), default=[], help="the same, left out")
    parser.add_argument("--seconds", type=float, help="how long; without it, until Ctrl-C or under orders")
    parser.add_argument("--under-orders", action="store_true", help="read orders from stdin")
    given = parser.parse_args()
    if given.under_orders:
        _obey()
        return
    if given.dsn is None:
        parser.error("which database?")
    make_app_roles(given.dsn)
    load = Load(
        given.dsn, seed=given.seed, connections=given.connections, side=given.side, truncate=given.truncate,
        pause=given.pause, patience=given.patience, only=given.only, without=given.without,
    ).start()  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        if given.seconds is None:
            while not load.wait_fenced(3600):
                pass
        else:
            load.wait_fenced(given.seconds)
    state = asdict(load.stop())
    state["rows"] = sum(len(rows) for rows in state.pop("may_be").values())
    print(json.dumps(state, indent=2))  # noqa: T201 - the result


if __name__ == "__main__":
    main()


__all__ = ["APP", "Effects", "Load", "LoadProcess", "State", "load_process", "make_app_roles"]
