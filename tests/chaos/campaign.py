"""The campaign: `python -m tests.chaos.campaign --kills 300 --minutes 60 --seed 1 [--json] [--scenario n]`, or `make chaos`.

Each scenario takes a fresh Clinic, with an application at work all the time, there and back again: migrate, cut over, work on
the target, roll back, cut over once more; and kills the tool on its way, at each boundary of the journal in turn, at each
message to the server, at random moments; others end connections, hold locks, crash the server. After each turn everything is
compared: tests.chaos.compare. Exit code 1: something was violated; the output says what, and how to repeat it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql as psql

from clinic.platform import tokens
from tenantry.mapping import Project
from tenantry.migrate.session.prepare import prepare
from tenantry.postgres import EmbeddedServer, connect
from tests.chaos import faults
from tests.chaos.applications import APPLICATIONS, CLINIC, Application
from tests.chaos.faults import CRASH, FAULTS, Fault, faults_on, striking
from tests.chaos.ledger import token_violations
from tests.chaos.live_driver import LiveDriver, live_driver
from tests.chaos.load import LoadProcess, State, load_process
from tests.conftest import VERSIONS, Database, available
from tests.migrate_support import (
    MANIFEST,
    OWNER,
    TOKEN_KEY,
    grant_rights,
    shared_template,
    tool_environment,
)

Kill = dict[str, Any]

PAUSE = 0.03
"""Seconds that a connection of the application rests after a transaction: some 80 transactions a second in all."""
MAX_STALL, TURN_PATIENCE = 8.0, 30.0
"""Seconds: the bound of a turn's stall, and of its attempts. What is tried here is not speed, and the machine may be busy."""
LONGEST_STALL = 30.0
"""Seconds: what no transaction of the application may take, but where somebody else holds it up."""
_TRIES = 8
_RETRIED = ("TN-411",)
"""What a turn may say of busy tables: everything is as it was, and the same command is given again."""
_serial = itertools.count()
_PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "chaos.md"


# -- what is done ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """One course, and where the tool is killed on it."""

    number: int
    kind: str
    seed: int
    version: int = 18
    workers: int = 2
    migrate: tuple[Kill, ...] = ()
    everywhere: tuple[str, ...] = ()
    """Boundaries of the migration: it is killed at each of them that it comes to, one after the other."""
    cut_over: tuple[Kill, ...] = ()
    follow: tuple[Kill, ...] = ()
    roll_back: tuple[Kill, ...] = ()
    forward: tuple[Kill, ...] = ()
    fault: str | None = None
    back_first: bool = False
    """The run is taken back before the cut-over, and begun anew."""
    grow: bool = False
    """The log grows while the tool does not run."""
    window: tuple[Kill, ...] = ()
    """Both sides are written for a while, by an application each, and the tool is killed while it carries both ways."""


@dataclass
class Result:
    """What came of a scenario."""

    scenario: Scenario
    kills: int = 0
    places: list[str] = field(default_factory=list)
    """Where the tool was killed, in the order of the campaign's table."""
    struck: int = 0
    violations: list[str] = field(default_factory=list)
    transactions: int = 0
    longest_ms: float = 0.0
    turns: int = 0
    doubtful: int = 0
    seconds: float = 0.0
    events: list[str] = field(default_factory=list)
    trips: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return bool(self.violations)


def killed(answer: dict[str, Any]) -> bool:
    return answer.get("signal") == 9


class Failed(Exception):
    """The course cannot be gone on with; the violation has been noted."""


@dataclass
class Bench:
    """What scenarios share: a server of each version, the process in which the tool runs, and the application's."""

    driver: LiveDriver
    load: LoadProcess
    servers: dict[int, EmbeddedServer]
    without: tuple[str, ...] = ()
    """Transactions that the application leaves out, to narrow a fault down."""
    application: Application = CLINIC
    pause: float = PAUSE


class Course:
    """A scenario under way."""

    def __init__(self, bench: Bench, scenario: Scenario, database: Database) -> None:
        self.bench, self.scenario, self.database = bench, scenario, database
        self.result = Result(scenario)
        self._rng = random.Random(f"{scenario.seed}/course")  # noqa: S311 - the same each time
        self.application = bench.application
        known = (*faults_on(self.application.ground), CRASH)
        self._fault: Fault | None = next((f for f in known if f.name == scenario.fault), None)
        self._strikes = 0

    # -- the way -----------------------------------------------------------------------------------------------------

    def run(self) -> Result:
        begun = time.monotonic()
        scenario = self.scenario
        self.bench.load.begin(
            self.database.dsn,
            seed=scenario.seed,
            pause=self.bench.pause,
            without=list(self.bench.without),
            application=self.application.name,
        )
        try:
            self._go()
        except Failed:
            pass
        finally:
            faults.wait_until_up(self.database)
            state = self.bench.load.stop()
            self._finish(state)
            self.result.seconds = time.monotonic() - begun
        return self.result

    def _go(self) -> None:
        scenario = self.scenario
        if scenario.back_first:
            for kill in scenario.migrate[:2]:
                self._order("migrate", kill)
            self._take_back(scenario.roll_back[:2])
        self._migrate_everywhere(set(scenario.everywhere))
        self._migrate(scenario.migrate)
        if scenario.grow:
            self._stand_still()
            faults.grow_log(self.database, self.application.ground)
            self.bench.load.resume()
        if scenario.window:
            self._window(scenario.window)
        self._turn("cutover", scenario.cut_over, "reverse")
        self._compare("behind the cut-over")
        self._live("target", scenario.follow)
        self._turn("rollback", scenario.roll_back, "forward")
        self._compare("behind the rollback")
        self._live("source", ())
        self._turn("cutover", scenario.forward, "reverse")
        self._compare("behind the second cut-over")

    def _migrate_everywhere(self, boundaries: set[str]) -> None:
        while boundaries:
            answer = self._order("migrate", {"events": sorted(boundaries)})
            if not killed(answer):
                break
            boundaries.remove(answer["at"])

    def _migrate(self, kills: Sequence[Kill]) -> None:
        for kill in kills:
            answer = self._order("migrate", kill)
            if not killed(answer) and answer["exit"] == 0:
                break
        self._until_done("migrate", lambda: self._run_row()[0] == "ready")

    def _turn(self, do: str, kills: Sequence[Kill], direction: str, **options: Any) -> None:
        """A turn with kills on its way: whatever happens, applications write exactly one side."""
        for kill in kills:
            answer = self._order(do, kill, **options)
            if killed(answer) and self._run_row()[1] == direction:
                # Killed behind the commit: it is done.
                break
            if not killed(answer) and answer["exit"] == 0:
                break
        if self._run_row()[1] != direction:
            self._until_done(do, lambda: self._run_row()[1] == direction, **options)
        self.result.turns += 1
        if direction != "both" and not self.bench.load.wait_fenced(15):
            self._violated(f"behind {do} the application can go on writing the side that was left")

    def _window(self, kills: Sequence[Kill]) -> None:
        """Both sides are written at the same time, other tables on each, while the tool carries both ways and is killed."""
        assert self.application.apart is not None, "this application has no transactions that could be kept apart"
        old, new, tables = self.application.apart
        self.bench.load.switch("source", old)
        self._turn("cutover", (), "both", grace=3600.0)
        with load_process() as second:
            second.begin(
                self.database.dsn, seed=self.scenario.seed + 1, pause=self.bench.pause, side="target", only=list(new),
                application=self.application.name,
            )  # fmt: skip
            for kill in kills:
                self._order("follow", kill)
            time.sleep(0.5)
            if not second.pause():
                self._violated("the application of the target does not come to rest: a statement hangs")
            self._stand_still()
            self._until_done("follow", lambda: True)
            theirs = second.stop()
            mine = self.bench.load.state()
            both = {table: (theirs if table in tables else mine).may_be[table] for table in mine.may_be}
            project = _project(self.database, self.application)
            found = self.application.compare(
                self.database, project, replace(mine, may_be=both, problems=[*mine.problems, *theirs.problems])
            )
            self._violated(*(f"while both sides are written: {each}" for each in found))
            self.result.transactions += sum(theirs.transactions.values())
            self.result.longest_ms = max(self.result.longest_ms, theirs.speed["longest_ms"])
        if found:
            raise Failed
        self.bench.load.switch("source")

    def _live(self, side: str, kills: Sequence[Kill]) -> None:
        """The application on a side for a while, with somebody who keeps the other one in step, now and then."""
        faults.wait_until_up(self.database)
        self.bench.load.switch(side)  # type: ignore[arg-type]
        for kill in kills:
            self._order("follow", kill)
        time.sleep(0.25)

    def _take_back(self, kills: Sequence[Kill]) -> None:
        """Before the cut-over: nothing is left behind, and the application notices nothing."""
        for kill in kills:
            self._order("rollback", kill, everything=True)
        if self._run_row()[0]:
            self._until_done("rollback", lambda: not self._run_row()[0], everything=True)
        with psycopg.connect(self.database.dsn) as connection:
            left = connection.execute(
                "select 'schema ' || nspname from pg_namespace where nspname in ('tenantry', %s)"
                " union all select 'trigger ' || tgname || ' on ' || tgrelid::regclass from pg_trigger t"
                " join pg_class c on c.oid = tgrelid where not tgisinternal and relnamespace = 'public'::regnamespace",
                [self.application.target],
            ).fetchall()
        for (what,) in left:
            self._violated(f"the rollback before the cut-over left {what}")
        self._stand_still()
        state = self.bench.load.state()
        with psycopg.connect(self.database.dsn) as connection:
            held = self.application.read_tokens(connection, "source")
        self._violated(*token_violations(state.may_be, held, "source behind a rollback:"))
        self.bench.load.resume()

    # -- orders ------------------------------------------------------------------------------------------------------

    def _order(self, do: str, kill: Kill | None = None, **options: Any) -> dict[str, Any]:
        """One start of the tool, with the fault at work beside it."""
        faults.wait_until_up(self.database)
        if do == "migrate":
            options |= {"workers": self.scenario.workers, "chunk_rows": 150}
        elif do in ("cutover", "rollback"):
            options |= {"max_stall": MAX_STALL, "patience": TURN_PATIENCE}
        self._strikes += 1
        beside = (
            striking(self._fault, self.database, self.scenario.seed * 1000 + self._strikes)
            if self._fault is not None
            else nullcontext([0])
        )
        with beside as struck:
            answer = self.bench.driver.run(
                do,
                kill=kill,
                options=options,
                dsn=self.database.dsn_as(OWNER),
                manifest=str(self.application.manifest_path),
            )
        self.result.struck += struck[0]
        if killed(answer):
            self.result.kills += 1
            self.result.places.append(_place(do, {**(kill or {}), **({"event": answer["at"]} if answer["at"] else {})}))
        elif answer["exit"] in (98, 99):
            self._violated(f"{do} {kill or ''}: {answer['said']}")
            raise Failed
        else:
            self.result.trips[do] = max(self.result.trips.get(do, 0), answer["trips"])
            if do == "migrate" and answer["exit"] == 0:
                self.result.events = answer["events"]
        return answer

    def _until_done(self, do: str, done: Callable[[], bool], **options: Any) -> None:
        said = []
        for _ in range(_TRIES):
            answer = self._order(do, **options)
            if answer["exit"] == 0:
                if not done():
                    self._violated(f"{do} says that it is done, and the run is {self._run_row()}")
                    raise Failed
                return
            said.append(f"exit {answer['exit']}: {answer['said']}")
            faults.wait_until_up(self.database)
            if done():
                return
            if self._fault is None and not answer["said"].startswith(_RETRIED):
                break
        if self._fault is not None and len(said) == _TRIES:
            # The fault is over: now it must be possible.
            self._fault = None
            self._until_done(do, done, **options)
            return
        self._violated(f"{do} failed without a reason: {said[-1]}")
        raise Failed

    def _run_row(self) -> tuple[str, str]:
        """Status and direction of the run; empty where there is none."""
        with psycopg.connect(self.database.dsn) as connection:
            if connection.execute("select to_regclass('tenantry.run')").fetchone() == (None,):
                return "", ""
            row = connection.execute("select status, direction from tenantry.run order by id desc limit 1").fetchone()
        return ("", "") if row is None else (str(row[0]), str(row[1]))

    # -- looking -----------------------------------------------------------------------------------------------------

    def _stand_still(self) -> None:
        if not self.bench.load.pause():
            self._violated("the application does not come to rest: a statement hangs")
            raise Failed

    def _compare(self, where: str) -> None:
        faults.wait_until_up(self.database)
        self._stand_still()
        project = _project(self.database, self.application)
        found = self.application.compare(self.database, project, self.bench.load.state())
        self._violated(*(f"{where}: {each}" for each in found))
        if any(not each.startswith("verify") for each in found):
            # What follows would follow from it.
            raise Failed

    def _violated(self, *violations: str) -> None:
        self.result.violations += violations

    def _finish(self, state: State) -> None:
        self.result.violations += [
            each for each in state.problems if not any(each in v for v in self.result.violations)
        ]
        self.result.transactions += sum(state.transactions.values())
        self.result.longest_ms = max(self.result.longest_ms, state.speed["longest_ms"])
        self.result.doubtful = state.doubtful
        stalls = self.scenario.fault in {fault.name for fault in (*FAULTS, CRASH) if fault.stalls}
        if self.result.longest_ms > LONGEST_STALL * 1000 and not stalls:
            held_up = "; ".join(state.held_up) or "for no lock that was seen"
            self._violated(f"a transaction of the application took {self.result.longest_ms:.0f} ms: {held_up}")


def _project(database: Database, application: Application) -> Project:
    with connect(database.dsn_as(OWNER)) as connection:
        return prepare(connection, application.manifest).project


def _place(do: str, kill: Kill) -> str:
    if "event" in kill:
        return f"{do}: {kill['event']}"
    if "trip" in kill:
        return f"{do}: message {kill['trip']}{', sent' if kill.get('sent') else ''}"
    return f"{do}: after {kill.get('after', 0):.2f} s"


# -- databases -------------------------------------------------------------------------------------------------------------


@contextmanager
def old_database(server: EmbeddedServer, application: Application = CLINIC) -> Iterator[Database]:
    """A clone of an application's old database. No connection is kept meanwhile: the server may be crashed."""
    template = shared_template(server, f"{application.name}_chaos", application.fill)
    made = Database(server, f"chaos_{os.getpid()}_{next(_serial)}")
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(
            psql.SQL("create database {} template {} strategy file_copy").format(
                psql.Identifier(made.name), psql.Identifier(template)
            )
        )
    grant_rights(made, application.manifest)
    try:
        yield made
    finally:
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute(psql.SQL("drop database {} with (force)").format(psql.Identifier(made.name)))


def run_scenario(bench: Bench, scenario: Scenario) -> Result:
    with old_database(bench.servers[scenario.version], bench.application) as database:
        return Course(bench, scenario, database).run()


@contextmanager
def bench_on(
    servers: dict[int, EmbeddedServer],
    without: Sequence[str] = (),
    application: Application = CLINIC,
    pause: float = PAUSE,
) -> Iterator[Bench]:
    """The processes that scenarios need, for servers that run."""
    os.environ.setdefault(tokens.VARIABLE, TOKEN_KEY)
    any_server = next(iter(servers.values()))
    with live_driver(any_server.dsn(), MANIFEST, tool_environment()) as driver, load_process() as load_:
        yield Bench(driver, load_, servers, tuple(without), application, pause)


@contextmanager
def private_servers(versions: Sequence[int]) -> Iterator[dict[int, EmbeddedServer]]:
    """Servers of the campaign's own, which it may crash: what was committed outlives that."""
    folder = Path(tempfile.mkdtemp(prefix="tc-", dir="/tmp"))
    folder.chmod(0o755)
    settings = {"fsync": "off", "full_page_writes": "on", "synchronous_commit": "on", "max_connections": "120",
                "shared_buffers": "'128MB'"}  # fmt: skip
    try:
        with ExitStack() as stack:
            yield {
                version: stack.enter_context(EmbeddedServer(folder, version=version, settings=settings))
                for version in versions
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- the plan --------------------------------------------------------------------------------------------------------------

KINDS: dict[str, str] = {
    "boundaries": "killed at every boundary of the journal, one after the other: steps begun and ended, pieces, phases",
    "messages": "killed at any message to the server: before it is sent, or before its answer is read",
    "moments": "killed from outside at random moments",
    "taken back": "killed, taken back before the cut-over (killed in that too), and begun anew",
    "dual-write window": "both sides are written at the same time, by an application each, and the tool is killed meanwhile",
    "log growth": "killed, while the application changes every value twenty times over before the cut-over",
    **{f"fault: {fault.name}": fault.meaning for fault in (*FAULTS, CRASH)},
}
"""Kinds of scenarios, and what they mean."""

_TURN_KILLS = 2
_EACH = 7
"""Kills of a scenario, about."""


@dataclass(frozen=True)
class Survey:
    """What an undisturbed course showed: the events of its migration, and messages to the server by command."""

    events: tuple[str, ...]
    trips: dict[str, int]


def make_plan(survey: Survey, *, seed: int, kills: int, versions: Sequence[int], apart: bool = False) -> list[Scenario]:
    """Every boundary on every version, and of all other kinds as many scenarios as make about so many kills.

    Args:
        apart: the application can write both sides at the same time.
    """
    rng = random.Random(f"{seed}/plan")  # noqa: S311 - the same plan each time
    events = tuple(dict.fromkeys(survey.events))
    others = [kind for kind in KINDS if kind != "boundaries" and (apart or kind != "dual-write window")]
    plan: list[Scenario] = []
    for _ in range(max(1, -(-kills // (len(others) * _EACH)))):
        plan += [_scenario(rng, survey, len(plan) + i, kind, seed, versions) for i, kind in enumerate(others)]
    for version in versions:
        scenario = _scenario(rng, survey, len(plan), "boundaries", seed, [version])
        plan.append(replace(scenario, workers=1, migrate=(), everywhere=events))
    return plan


def _scenario(
    rng: random.Random,
    survey: Survey,
    number: int,
    kind: str,
    seed: int,
    versions: Sequence[int],
) -> Scenario:
    def message(do: str) -> Kill:
        return {"trip": rng.randint(1, max(2, survey.trips.get(do, 300))), "sent": rng.random() < 0.5}

    def moment(most: float) -> Kill:
        return {"after": rng.uniform(0.05, most)}

    def some(do: str, count: int) -> tuple[Kill, ...]:
        if kind == "moments":
            return tuple(moment({"migrate": 1.5}.get(do, 0.6)) for _ in range(count))
        return tuple(message(do) for _ in range(count))

    # Crashes and faults disturb enough by themselves.
    few = 1 if kind.startswith("fault") else _TURN_KILLS
    return Scenario(
        number,
        kind,
        seed * 1000 + number,
        version=versions[number % len(versions)],
        workers=1 + rng.randrange(2),
        migrate=some("migrate", 3),
        cut_over=some("cutover", few),
        follow=(moment(0.8),),
        roll_back=some("rollback", few),
        forward=some("cutover", few),
        fault=kind.removeprefix("fault: ") if kind.startswith("fault: ") else None,
        back_first=kind == "taken back",
        grow=kind == "log growth",
        window=(*(moment(1.5) for _ in range(3)), *some("follow", 2)) if kind == "dual-write window" else (),
    )


# -- the campaign ----------------------------------------------------------------------------------------------------------


@dataclass
class Campaign:
    """What came of all scenarios."""

    seed: int
    application: str = "clinic"
    results: list[Result] = field(default_factory=list)
    boundaries: int = 0
    died_at: set[str] = field(default_factory=set)
    seconds: float = 0.0

    @property
    def kills(self) -> int:
        return sum(result.kills for result in self.results)

    @property
    def violations(self) -> int:
        return sum(len(result.violations) for result in self.results)

    def add(self, result: Result) -> None:
        self.results.append(result)
        self.died_at |= {place.removeprefix("migrate: ") for place in result.places if place.startswith("migrate: ")}


def run_campaign(
    bench: Bench,
    *,
    seed: int,
    kills: int,
    minutes: float,
    only: Sequence[int] = (),
    say: Callable[[str], None] = lambda _text: None,
) -> Campaign:
    begun = time.monotonic()
    versions = tuple(bench.servers)
    campaign = Campaign(seed, bench.application.name)
    first = run_scenario(bench, Scenario(-1, "undisturbed", seed, version=versions[0], workers=1))
    campaign.add(first)
    say(_line(first))
    for violation in first.violations:
        say(f"    {violation}")
    survey = Survey(tuple(first.events), first.trips)
    boundaries = set(survey.events)
    campaign.boundaries = len(boundaries)
    plan = make_plan(survey, seed=seed, kills=kills, versions=versions, apart=bench.application.apart is not None)
    if only:
        plan = [scenario for scenario in plan if scenario.number in only]
    while plan and time.monotonic() - begun < minutes * 60:
        scenario = plan.pop(0)
        result = run_scenario(bench, scenario)
        campaign.add(result)
        say(_line(result))
        for violation in result.violations:
            say(f"    {violation}")
        if result.failed:
            say(f"    repeat: {repeat(seed, kills, scenario, bench.application)}")
    campaign.died_at &= boundaries
    campaign.seconds = time.monotonic() - begun
    return campaign


def repeat(seed: int, kills: int, scenario: Scenario, application: Application) -> str:
    return f"python -m tests.chaos.campaign --schema {application.name} --seed {seed} --kills {kills} --scenario {scenario.number}"


def _line(result: Result) -> str:
    scenario = result.scenario
    verdict = f"{len(result.violations)} VIOLATIONS" if result.failed else "good"
    return (
        f"{scenario.number:>4}  {scenario.kind:<40} PostgreSQL {scenario.version}  {result.kills:>3} kills"
        f"  {result.struck:>3} strikes  {result.transactions:>6} transactions  longest {result.longest_ms:>6.0f} ms"
        f"  {result.seconds:>5.1f} s  {verdict}"
    )


# -- the page --------------------------------------------------------------------------------------------------------------


def _results(campaign: Campaign, *, versions: Sequence[int], kills: int) -> str:
    """The part of the page about one application."""
    kinds: dict[str, list[Result]] = {}
    for result in campaign.results:
        kinds.setdefault(result.scenario.kind, []).append(result)
    meaning = {"undisturbed": "nobody disturbs it: the measure of the others", **KINDS}
    rows = [
        f"| {kind} | {meaning[kind]} | {len(results)} | {sum(r.kills for r in results)} | {sum(r.struck for r in results)}"
        f" | {sum(r.transactions for r in results):,} | {max(r.longest_ms for r in results):.0f} ms"
        f" | {sum(len(r.violations) for r in results)} |"
        for kind, results in kinds.items()
    ]
    commands = Counter(place.partition(":")[0] for result in campaign.results for place in result.places)
    died = ", ".join(f"{count} in {name}" for name, count in sorted(commands.items()))
    transactions = sum(result.transactions for result in campaign.results)
    application = APPLICATIONS[campaign.application]
    table = "\n".join(rows)
    return f"""\
### {application.name.capitalize()}

{application.meaning[0].upper()}{application.meaning[1:]}.

{datetime.now(UTC):%Y-%m-%d}, seed {campaign.seed}, PostgreSQL {", ".join(map(str, versions))}, {len(campaign.results)} scenarios in \
{campaign.seconds / 60:.0f} minutes: **{campaign.kills} kills** ({died}), {transactions:,} transactions of the application,
**{campaign.violations} violations**. The tool died at {len(campaign.died_at)} of the {campaign.boundaries} boundaries of its journal.

| scenarios | meaning | number | kills | strikes | transactions | longest | violations |
| --- | --- | --- | --- | --- | --- | --- | --- |
{table}

To repeat it: `make chaos ARGS="--schema {application.name} --seed {campaign.seed} --kills {kills}"`; to repeat one scenario add
`--scenario <number>`.
"""


def page(parts: Sequence[str]) -> str:
    """docs/explanation/chaos.md: what is done, and the tables of what came of it."""
    results = "\n".join(parts)
    return f"""\
<!-- Written by python -m tests.chaos.campaign --page: do not edit. -->

# What the migration survives

A migration of a live database must survive a kill at any point, and no write that the application got an acknowledgement for may be
lost. `make chaos` tests this, with an application at work all the time.

**A scenario** takes a fresh copy of an application's database, Clinic's or the depot's, there and back: migrate, cut over, work on the
target, roll back, work on the source, cut over once more. On the way the tool is killed with SIGKILL, several times, and each time the
same command is simply run again.

**The application** has three connections under its own login, and writes at random, in every form that SQL has: inserts, updates,
deletes, changes of keys, rows that exchange keys, updates to null, `INSERT … ON CONFLICT`, `MERGE`, `COPY`, `TRUNCATE`, transactions over
several tables, savepoints, rollbacks, providers who move to another clinic, cascading keys, and addresses and numbers that belong in
quarantine and are repaired later. It remembers what the server acknowledged: the last token that it wrote into each row. If a connection
broke during a commit, both outcomes are allowed.

**After each switch-over** three independent witnesses check the result:

1. The application's memory: every acknowledged write is on both sides exactly once, with its last value (or in the quarantine, or among
   the merged rows, with its original), and nothing else is there.
2. An oracle in Python. It derives every row of the target from the source again without any of Tenantry's expressions, and says which
   rows belong in quarantine and which are merged into which.
3. Tenantry's own verification, and the accounting: source = target + quarantined + merged.

Only the fence may refuse the application, and it must never lose a row that only it may touch. None of its transactions may take longer
than {LONGEST_STALL:.0f} s.

## The last campaigns

{results}
*Strikes* are connections that were ended, locks that were taken, sessions that were left idle, and crashes. *Longest* is the longest
transaction of the application, including waits for other sessions' locks and crashes.

The same seed gives the same places of the kills and the same order of the application's transactions. How the two coincide differs.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill a migration in every way, and see that nothing is lost.")
    parser.add_argument("--kills", type=int, default=300, help="how many kills, about")
    parser.add_argument("--minutes", type=float, default=60, help="no scenario is begun later than this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schema", choices=list(APPLICATIONS), help="one of the applications; both without it")
    parser.add_argument("--scenario", type=int, action="append", default=[], help="only this number of the plan")
    parser.add_argument("--versions", default=",".join(map(str, VERSIONS)), help="of PostgreSQL, with commas")
    parser.add_argument("--without", default="", help="transactions that the application leaves out, with commas")
    parser.add_argument("--json", action="store_true", help="results as JSON on stdout, progress on stderr")
    parser.add_argument("--page", action="store_true", help=f"write {_PAGE.name}")
    given = parser.parse_args()
    versions = [int(each) for each in given.versions.split(",") if available(int(each))]
    without = [each for each in given.without.split(",") if each]
    told = sys.stderr if given.json else sys.stdout

    campaigns = []
    for application in [APPLICATIONS[given.schema]] if given.schema else APPLICATIONS.values():
        print(f"{application.name}: {application.meaning}", file=told, flush=True)
        with private_servers(versions) as servers, bench_on(servers, without, application) as bench:
            campaign = run_campaign(
                bench, seed=given.seed, kills=given.kills, minutes=given.minutes, only=given.scenario,
                say=lambda text: print(text, file=told, flush=True),
            )  # fmt: skip
        campaigns.append(campaign)
        print(
            f"{len(campaign.results)} scenarios, {campaign.kills} kills, {campaign.violations} violations;"
            f" died at {len(campaign.died_at)} of {campaign.boundaries} boundaries; {campaign.seconds / 60:.1f} minutes",
            file=told,
        )
    if given.json:
        print(json.dumps([{**asdict(each), "died_at": sorted(each.died_at)} for each in campaigns], indent=2))  # noqa: T201
    if given.page and not given.scenario and not given.schema:
        _PAGE.write_text(page([_results(each, versions=versions, kills=given.kills) for each in campaigns]))
    sys.exit(1 if any(campaign.violations for campaign in campaigns) else 0)


if __name__ == "__main__":
    main()
