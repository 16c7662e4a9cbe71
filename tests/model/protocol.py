"""The protocol of live migration as a state machine, small enough that every interleaving of a few operations can be searched.

No database: a source with parents (`p1`) and children (`c1`), a target in which each row stands under its tenant, logs of
changed keys, applications that open, write and commit, and the tool that captures, copies, replays, turns the direction round
and back, is killed and resumes. A step of the model is one thing that PostgreSQL does at one moment: a statement, a snapshot, a
commit. Each rule that the protocol rests on is a `Guard`; taking one away shows which race it is there for.

What PostgreSQL itself guarantees is part of the model, and no guard: row locks until commit, keys of parents held while a
child refers to them, `create trigger` and `lock table` waiting for open writers. A commit that a foreign key would refuse
counts as found out.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Set
from enum import Enum
from typing import Any, NamedTuple

from tests.model.rows import BAD, Changes, Key, Row, Rows, Slot, TargetRows, Transaction, conflict, derive, up

SOURCE, TARGET = "source", "target"
FORWARD, BOTH, REVERSE = "forward", "both", "reverse"
WRITABLE = {FORWARD: (SOURCE,), BOTH: (SOURCE, TARGET), REVERSE: (TARGET,)}
FINISHED = -1
# Rounds: an ordinary one, the first after the copy, and those that turn the direction.
ROUND, CATCH_UP, CUT_OVER, ROLLBACK = "replay", "catch-up", "cut-over", "rollback"


class Guard(Enum):
    """The rules of the protocol. The value is what the documentation says."""

    CAPTURE_FIRST = "capture has committed before the first snapshot of the copy"
    COPY_INSERTS_ONLY = "the copy only inserts; what stands there already is newer"
    REPLAY_AFTER_COPY = "replay begins when the copy is complete"
    RANGES_STAY = "a resumed run takes new snapshots, but keeps its key ranges"
    MARK_WITH_WORK = "a range is marked as done in the transaction that writes its rows"
    UNDO_IN_REVERSE = "undo goes backwards: the copy is forgotten before capture is taken off"
    NO_WATERMARK = "a round reads every visible entry, not those above a watermark"
    DELETE_WHAT_WAS_READ = "a round deletes exactly the entries that it read, not all up to the highest"
    ONE_SNAPSHOT_WITH_LOG = "rows are derived from the snapshot in which the log was read"
    ONE_SNAPSHOT_FOR_TABLES = "all tables are derived from one snapshot"
    ONE_REPLAYER = "one replayer works on the entries of a key"
    ONE_WRITER_PER_ROW = "where several replay, a row has one writer, whatever entry it derives from"
    REPEATABLE_READ = "a round runs in REPEATABLE READ: it fails if a row that it writes was changed after its snapshot"
    LOG_BOTH_KEYS = "a change of key logs the old key and the new one"
    LOG_TRUNCATE = "TRUNCATE is logged, as: look at the whole table again"
    CARRY_NULL = "an update to NULL is carried like any other"
    EXPAND_DEPENDENTS = "an entry stands for all rows that derive from its row"
    UNDER_TARGET_PARENT = "a child is written under its parent as the target has it, or waits for it"
    DELETE_IN_ANY_TENANT = "a row is deleted by id under every tenant before it is written"
    SNAPSHOT_AFTER_LOCK = "the final drain takes its snapshot after it holds the lock"
    TURN_WITH_DRAIN = "the direction is turned in the transaction that drains the log"
    TARGET_CAPTURE_FIRST = "the target is captured before clients may write it"
    FENCE = "after a turn, the side that was left refuses writes"
    KEEP_ORIGINAL = "the way back writes only the columns that differ"
    KEEP_QUARANTINED = "on the way back, TRUNCATE leaves alone what never came over"
    WAIT_ON_THE_WAY_BACK = "on the way back, an entry is kept while its row has to wait for another row"
    IGNORE_OWN_WRITES = "what the tool writes is not captured"
    BACK_FIRST = "while both sides are written, a round carries back first, and derives from what results"
    WHOLE_LOG_BACK = "while both sides are written, a round takes the target's log whole"


ALL = frozenset(Guard)


@dataclasses.dataclass(frozen=True, eq=False)
class Scenario:
    """What there is at first, what applications do, and how far the run goes."""

    name: str
    source: Mapping[Key, Row]
    transactions: tuple[Transaction, ...]
    turns: tuple[str, ...] = ()
    copied: bool = False  # begin when the copy is complete: fewer states for races that come later
    copiers: int = 1
    limited: bool = False  # rounds may take a single entry, in any order
    kills: int = 1
    undo: bool = False


class Entry(NamedTuple):
    number: int  # from the log's sequence: drawn when the row is written, visible when the writer commits
    table: str
    old: Key | None
    new: Key | None


class App(NamedTuple):
    step: int = 0
    side: str = ""
    changes: frozenset[tuple[Key, Row | None]] = frozenset()
    entries: tuple[Entry, ...] = ()


class Write(NamedTuple):
    """A row that a round writes: as its snapshot shows it, and as it shall be."""

    place: Key | Slot
    before: Row | None
    after: Row | None


class Round(NamedTuple):
    """A round of replay under way: what it has read of the two logs, and what it writes on the two sides."""

    kind: str = ROUND
    read: frozenset[Entry] = frozenset()
    read_back: frozenset[Entry] = frozenset()
    writes: frozenset[Write] = frozenset()
    writes_back: frozenset[Write] = frozenset()
    snapshot: Rows | None = None  # of what is still to be derived, where a guard is missing


class Range(NamedTuple):
    """A key range of the copy: low < key <= high."""

    table: str
    low: Key
    high: Key


class Flight(NamedTuple):
    """A key range that has been read and is not written yet."""

    number: int
    rows: TargetRows
    marked: bool = False


class State(NamedTuple):
    """Everything, at one moment. `truth` belongs to the search: what all acknowledged writes together say."""

    source: Rows
    truth: Rows
    apps: tuple[App, ...]
    target: TargetRows = frozenset()
    source_log: frozenset[Entry] = frozenset()
    target_log: frozenset[Entry] = frozenset()
    source_captured: bool = False
    target_captured: bool = False
    number: int = 0
    watermark: int = -1
    ranges: tuple[Range, ...] = ()
    done: frozenset[int] = frozenset()
    complete: bool = False  # the copy, the catch-up, and the keys of the target
    direction: str = FORWARD
    turned: int = 0
    kills: int = 0
    undone: int = 0
    # What a kill takes away: open transactions, and what the process remembers.
    flights: tuple[Flight, ...] = ()
    rounds: tuple[Round, ...] = ()
    locked: str = ""
    drained: bool = False

    def rows(self, side: str) -> dict[Key, Row]:
        """A side as its applications see it."""
        return dict(self.source) if side == SOURCE else {slot[1]: row for slot, row in self.target}


def dangling(state: State) -> str | None:
    """A foreign key that is violated in what is committed."""
    source = dict(state.source)
    for key, (_, parent) in source.items():
        if key[0] == "c" and parent not in source:
            return f"{key} in the source refers to {parent}, which is not there"
    if state.complete:
        slots = {slot for slot, _ in state.target}
        for (tenant, key), (_, parent) in state.target:
            if key[0] == "c" and (tenant, parent) not in slots:
                return f"{key} of {tenant} in the target refers to {parent}, which is not there"
    return None


def difference(side: str, have: Rows | TargetRows, want: Rows | TargetRows) -> str:
    only, missing = (", ".join(sorted(map(_text, rows))) or "nothing" for rows in (have - want, want - have))
    return f"of what was acknowledged, the {side} lacks {missing}; it has {only} instead"


def _text(item: tuple[Key | Slot, Row]) -> str:
    place, (value, hangs_on) = item
    where = place if isinstance(place, str) else f"{place[1]} of {place[0]}"
    return f"{where} = {value or 'NULL'} under {hangs_on}"


class Model:
    """The moves that are possible in a state, under a set of guards."""

    def __init__(self, scenario: Scenario, guards: frozenset[Guard] = ALL) -> None:
        self.scenario = scenario
        self.guards = guards
        # Numbers matter only to those who compare them. Where nobody does, an entry's number is its place in the scenario,
        # and states that differ in the order of writes alone are one.
        self.sequence = not {Guard.NO_WATERMARK, Guard.DELETE_WHAT_WAS_READ} <= guards

    def has(self, guard: Guard) -> bool:
        return guard in self.guards

    def start(self) -> State:
        source = frozenset(self.scenario.source.items())
        state = State(source, source, tuple(App() for _ in self.scenario.transactions), kills=self.scenario.kills)
        if self.scenario.copied:
            target = frozenset(derive(self.scenario.source).items())
            captured = self.has(Guard.TARGET_CAPTURE_FIRST)
            state = state._replace(target=target, source_captured=True, target_captured=captured, complete=True)
        return state

    def moves(self, s: State) -> Iterator[tuple[str, State]]:
        yield from self.applications(s)
        yield from self.capture(s)
        if not s.complete:
            yield from self.copy(s)
        if s.source_captured:
            yield from self.replay(s)
        if s.turned < len(self.scenario.turns) and (s.target_captured or not self.has(Guard.TARGET_CAPTURE_FIRST)):
            yield from self.turn(s)
        if self.scenario.undo:
            yield from self.undo(s)
        volatile = s._replace(flights=(), rounds=(), locked="", drained=False)
        if s.kills and volatile != s:
            ranges = s.ranges if self.has(Guard.RANGES_STAY) else ()
            yield "the tool is killed, and resumes", volatile._replace(kills=s.kills - 1, ranges=ranges)

    # What is wanted of a state

    def ended(self, s: State) -> bool:
        """Applications have finished, the run is where it was to go, and replay has nothing left to do."""
        idle = not (s.flights or s.rounds or s.locked) and all(app.step == FINISHED for app in s.apps)
        there = s.source_captured and s.complete and s.turned == len(self.scenario.turns)
        return idle and there and not any(self.pending(s))

    def violation(self, s: State) -> str | None:
        """What is wrong in a state: a foreign key, or a write that was acknowledged and is not there."""
        wrong = dangling(s)
        if wrong:
            return wrong
        ended = self.ended(s)
        serving = (SOURCE, TARGET) if ended else WRITABLE[s.direction] if s.direction != BOTH else ()
        if SOURCE in serving and s.source != s.truth:
            return difference(SOURCE, s.source, s.truth)
        if TARGET in serving and s.target != (want := frozenset(derive(dict(s.truth)).items())):
            return difference(TARGET, s.target, want)
        return None

    # Applications

    def writers(self, s: State, side: str) -> list[App]:
        return [app for app in s.apps if app.side == side and app.changes]

    def applications(self, s: State) -> Iterator[tuple[str, State]]:
        for index, transaction in enumerate(self.scenario.transactions):
            app = s.apps[index]
            name = f"application {index + 1}"
            if app.step == FINISHED:
                continue
            side = app.side or transaction.side or WRITABLE[s.direction][-1]
            if transaction.lingers and not app.side:
                yield f"{name} connects to the {side}", self.with_app(s, index, app._replace(side=side))
            elif app.step == len(transaction.ops):
                yield f"{name} commits", self.commit(s, index)
            elif side not in WRITABLE[s.direction] and self.has(Guard.FENCE):
                if side == SOURCE or s.turned:  # before the cut-over nobody is sent to the target
                    yield f"{name} is refused by the {side}", self.with_app(s, index, App(FINISHED))
            elif s.locked != side:
                yield from self.statement(s, index, name, side)

    def statement(self, s: State, index: int, name: str, side: str) -> Iterator[tuple[str, State]]:
        app = s.apps[index]
        op = self.scenario.transactions[index].ops[app.step]
        mine = dict(app.changes)
        outcome = op.run({key: row for key, row in (s.rows(side) | mine).items() if row is not None})
        if outcome is None or (side == TARGET and op.value == BAD):
            yield f"{name}: {op} in the {side} is refused", self.with_app(s, index, App(FINISHED))
            return
        changes, changed = outcome
        mine |= changes
        if any(conflict(mine, dict(each.changes)) for each in self.writers(s, side) if each is not app):
            return  # waits for a row that another has locked
        entries = app.entries
        if s.source_captured if side == SOURCE else s.target_captured:
            for table, old, new in changed:
                if old is None and new is None and not self.has(Guard.LOG_TRUNCATE):
                    continue
                number = s.number if self.sequence else index * 10 + len(entries)
                entries += (Entry(number, table, old if self.has(Guard.LOG_BOTH_KEYS) else new or old, new),)
                s = s._replace(number=s.number + self.sequence)
        app = App(app.step + 1, side, frozenset(mine.items()), entries)
        yield f"{name}: {op} in the {side}", self.with_app(s, index, app)

    def commit(self, s: State, index: int) -> State:
        app = s.apps[index]
        changes = dict(app.changes)
        before = s.rows(app.side)
        truth = dict(s.truth)
        for key, row in changes.items():
            old = before.get(key)
            if row is None:
                truth.pop(key, None)
            elif app.side == TARGET and old and old[0] == row[0] and key in truth:
                truth[key] = (truth[key][0], row[1])  # the value was not changed: its original stands
            else:
                truth[key] = row
        s = self.with_app(s, index, App(FINISHED))._replace(truth=frozenset(truth.items()))
        after = {key: row for key, row in (before | changes).items() if row is not None}
        if app.side == SOURCE:
            return s._replace(source=frozenset(after.items()), source_log=s.source_log | set(app.entries))
        moved = set(changes) | {key for key, row in after.items() if row[1] in changes}
        kept = {slot: row for slot, row in s.target if slot[1] not in moved}
        kept |= {slot: row for slot, row in derive(after).items() if slot[1] in moved}
        return s._replace(target=frozenset(kept.items()), target_log=s.target_log | set(app.entries))

    def with_app(self, s: State, index: int, app: App) -> State:
        return s._replace(apps=(*s.apps[:index], app, *s.apps[index + 1 :]))

    # Capture and copy

    def capture(self, s: State) -> Iterator[tuple[str, State]]:
        if not s.source_captured and not self.writers(s, SOURCE):
            yield "the source is captured", s._replace(source_captured=True)
        if s.complete and not s.target_captured and self.scenario.turns and not self.writers(s, TARGET):
            yield "the target is captured", s._replace(target_captured=True)

    def copy(self, s: State) -> Iterator[tuple[str, State]]:
        if s.source_captured or not self.has(Guard.CAPTURE_FIRST):
            ranges = s.ranges or _ranges(dict(s.source))
            taken = s.done | {flight.number for flight in s.flights}
            number = next((n for n in range(len(ranges)) if n not in taken), None)
            copiers = self.scenario.copiers if s.done else 1  # children come when their parents are there
            if number is not None and len(s.flights) < copiers:
                table, low, high = ranges[number]
                made = derive(dict(s.source), self.tenants(dict(s.target)) if table == "c" else None).items()
                rows = frozenset((slot, row) for slot, row in made if slot[1][0] == table and low < slot[1] <= high)
                flights = (*s.flights, Flight(number, rows))
                yield f"copy reads range {number + 1}, of {table}", s._replace(ranges=ranges, flights=flights)
        for flight in s.flights:
            others = tuple(each for each in s.flights if each is not flight)
            marked = s._replace(done=s.done | {flight.number})
            if not flight.marked and not self.has(Guard.MARK_WITH_WORK):
                flights = (*others, flight._replace(marked=True))
                yield f"copy marks range {flight.number + 1} as done", marked._replace(flights=flights)
                continue
            there = {slot for slot, _ in s.target}
            if self.has(Guard.COPY_INSERTS_ONLY):
                target = s.target | {(slot, row) for slot, row in flight.rows if slot not in there}
            else:
                target = frozenset((dict(s.target) | dict(flight.rows)).items())
            yield f"copy writes range {flight.number + 1}", marked._replace(flights=others, target=target)

    def undo(self, s: State) -> Iterator[tuple[str, State]]:
        """A rollback before the cut-over, in two steps; the run may be resumed in between."""
        if s.undone == 2 or s.turned or s.flights or s.rounds or s.locked:
            return
        backwards = self.has(Guard.UNDO_IN_REVERSE)
        if s.undone == (0 if backwards else 1):
            forgotten = s._replace(
                target=frozenset(), ranges=(), done=frozenset(), complete=False, target_captured=False
            )
            yield "undo: the copy is forgotten", forgotten._replace(undone=s.undone + 1)
        elif not backwards or not (s.done or s.complete):
            off = s._replace(source_captured=False, source_log=frozenset(), watermark=-1)
            yield "undo: capture is off", off._replace(undone=s.undone + 1)

    # Replay, either way

    def pending(self, s: State) -> tuple[frozenset[Entry], frozenset[Entry]]:
        """What is to be read of the source's log and of the target's."""
        forward = s.source_log if SOURCE in WRITABLE[s.direction] else frozenset()
        if not self.has(Guard.NO_WATERMARK):
            forward = frozenset(entry for entry in forward if entry.number > s.watermark)
        return forward, s.target_log if TARGET in WRITABLE[s.direction] else frozenset()

    def replay(self, s: State) -> Iterator[tuple[str, State]]:
        idle = not (s.locked or s.drained or any(each.kind != ROUND for each in s.rounds))
        if idle and s.ranges and not s.complete and len(s.done) == len(s.ranges) and not (s.flights or s.rounds):
            yield from self.begin(s, CATCH_UP, *self.pending(s))
        elif idle and (s.complete or not self.has(Guard.REPLAY_AFTER_COPY)):
            for read, read_back in self.batches(s):
                yield from self.begin(s, ROUND, read, read_back)
        for each in s.rounds:
            rest = s._replace(rounds=tuple(other for other in s.rounds if other is not each))
            if each.snapshot is not None and not self.has(Guard.ONE_SNAPSHOT_WITH_LOG):
                read = self.pending(s)[0]
                derived = each._replace(
                    read=read, writes=self.derived(s, read, each.snapshot, each.snapshot), snapshot=None
                )
                yield f"{each.kind} reads the log", rest._replace(rounds=(*rest.rounds, derived))
            elif each.snapshot is not None:
                derived = each._replace(writes=self.derived(s, each.read, each.snapshot, s.source), snapshot=None)
                yield f"{each.kind} derives the children", rest._replace(rounds=(*rest.rounds, derived))
            elif each.kind in (ROUND, CATCH_UP) or s.locked:
                yield from self.finish(s, rest, each)

    def batches(self, s: State) -> Iterator[tuple[frozenset[Entry], frozenset[Entry]]]:
        """What a round may read that begins now: all that is visible, some of it, or what another replayer leaves."""
        forward, back = self.pending(s)
        if not self.has(Guard.ONE_WRITER_PER_ROW):  # two replayers, each for the entries of one table
            taken = {entry.table for each in s.rounds for entry in each.read}
            for table in {entry.table for entry in forward} - taken:
                yield frozenset(entry for entry in forward if entry.table == table), back
            return
        if len(s.rounds) == (1 if self.has(Guard.ONE_REPLAYER) else 2):
            return
        forward = forward.difference(*(each.read for each in s.rounds))
        if forward or back:
            yield forward, back
        if self.scenario.limited and len(forward) + len(back) > 1:
            parts = [frozenset({entry}) for entry in forward] or [forward]
            whole = s.direction == BOTH and self.has(Guard.WHOLE_LOG_BACK)
            yield from itertools.product(
                parts, [frozenset({entry}) for entry in back] if back and not whole else [back]
            )

    def begin(
        self, s: State, kind: str, read: frozenset[Entry], read_back: frozenset[Entry]
    ) -> Iterator[tuple[str, State]]:
        """A snapshot is taken, and with it the log is read and the rows are derived, unless a guard is missing."""
        writes_back, waiting = self.derived_back(s, read_back)
        if self.has(Guard.WAIT_ON_THE_WAY_BACK):
            sides = s.rows(SOURCE), s.rows(TARGET)
            read_back = frozenset(entry for entry in read_back if not waiting & self.keys({entry}, *sides))
        if kind == ROUND and not (read or read_back):
            return
        source = _written(s.source, writes_back) if self.has(Guard.BACK_FIRST) else s.source
        new = Round(kind, read, read_back, frozenset(), writes_back)
        if s.direction != FORWARD or {Guard.ONE_SNAPSHOT_WITH_LOG, Guard.ONE_SNAPSHOT_FOR_TABLES} <= self.guards:
            new = new._replace(writes=self.derived(s, read, source, source))
        else:
            new = new._replace(snapshot=s.source, read=read if self.has(Guard.ONE_SNAPSHOT_WITH_LOG) else frozenset())
        yield f"{kind} begins", s._replace(rounds=(*s.rounds, new))

    def keys(self, read: Set[Entry], *sides: Mapping[Key, Row]) -> set[Key]:
        keys = {key for entry in read for key in entry[2:] if key}
        whole = {entry.table for entry in read if entry.old is None and entry.new is None}
        return keys | {key for rows in sides for key in rows if key[0] in whole}

    def tenants(self, target: Mapping[Slot, Row]) -> dict[Key, str] | None:
        """Under which tenant the target has each parent; None if the source is to say it."""
        return {key: tenant for tenant, key in target if key[0] == "p"} if self.has(Guard.UNDER_TARGET_PARENT) else None

    def derived(self, s: State, read: frozenset[Entry], first: Rows, second: Rows) -> frozenset[Write]:
        """What a round writes into the target: parents from one snapshot, children from another, which should be the same."""
        parents, children, there = dict(first), dict(second), dict(s.target)
        keys = self.keys(read, parents, children, s.rows(TARGET))
        if self.has(Guard.EXPAND_DEPENDENTS):
            rows = [*children.items(), *s.rows(TARGET).items()]
            keys |= {key for key, row in rows if key[0] == "c" and row[1] in keys}
        wanted = {slot: row for slot, row in derive(parents).items() if slot[1][0] == "p" and slot[1] in keys}
        tenants = self.tenants({slot: row for slot, row in there.items() if slot[1] not in keys} | wanted)
        wanted |= {
            slot: row for slot, row in derive(children, tenants).items() if slot[1][0] == "c" and slot[1] in keys
        }
        if not self.has(Guard.CARRY_NULL):
            for slot in wanted.keys() & there.keys():
                wanted[slot] = (wanted[slot][0] or there[slot][0], wanted[slot][1])
        stays = set() if self.has(Guard.DELETE_IN_ANY_TENANT) else {slot[1] for slot in wanted}
        gone = {slot for slot in there if slot[1] in keys and slot[1] not in stays}
        return frozenset(Write(slot, there.get(slot), wanted.get(slot)) for slot in gone | wanted.keys())

    def derived_back(self, s: State, read: frozenset[Entry]) -> tuple[frozenset[Write], set[Key]]:
        """What a round writes into the source, and the rows that have to wait for others."""
        source, target = dict(s.source), s.rows(TARGET)
        carried = {key: source[key] for _, key in derive(source)} if self.has(Guard.KEEP_QUARANTINED) else source
        writes = set()
        for key in self.keys(read, carried, target):
            before, after = source.get(key), target.get(key)
            if before and after and up(before[0]) == after[0] and self.has(Guard.KEEP_ORIGINAL):
                after = (before[0], after[1])
            if before != after:
                writes.add(Write(key, before, after))
        waiting: set[Key] = set()
        while True:  # for a parent that is not there yet, or a child that is still there
            rows = dict(_written(s.source, frozenset(writes)))
            orphans = {key: row[1] for key, row in rows.items() if key[0] == "c" and row[1] not in rows}
            refused = {write for write in writes if write.place in orphans or write.place in orphans.values()}
            if not refused:
                return frozenset(writes), waiting
            writes -= refused
            waiting |= {str(write.place) for write in refused}

    def finish(self, s: State, rest: State, each: Round) -> Iterator[tuple[str, State]]:
        """The round commits, or fails because a row was changed after its snapshot."""
        failed = rest._replace(locked=s.locked if each.kind in (ROUND, CATCH_UP) else "")
        for side, have, writes in ((TARGET, s.target, each.writes), (SOURCE, s.source, each.writes_back)):
            changes = _changes(writes)
            if any(conflict(changes, dict(app.changes)) for app in self.writers(s, side)):
                return  # waits for a row that an application has locked
            rows: dict[Any, Row] = dict(have)
            changed = any(rows.get(write.place) != write.before for write in writes)
            if changed and self.has(Guard.REPEATABLE_READ):
                yield f"{each.kind} fails: a row was changed after its snapshot", failed
                return
        s = rest._replace(target=_written(s.target, each.writes), source=_written(s.source, each.writes_back))
        if s.direction == BOTH and dangling(s):  # a row came after the snapshot, under one that is to go
            yield f"{each.kind} fails: a foreign key would be violated", failed
            return
        s = self.consumed(s, each)
        if not self.has(Guard.IGNORE_OWN_WRITES):
            s = self.echoed(s, each)
        if each.kind == CATCH_UP:
            s = s._replace(complete=True)
        elif each.kind != ROUND:
            s = s._replace(locked="")
            s = self.turn_now(s) if self.has(Guard.TURN_WITH_DRAIN) else s._replace(drained=True)
        yield f"{each.kind} commits", s

    def consumed(self, s: State, each: Round) -> State:
        s = s._replace(target_log=s.target_log - each.read_back)
        highest = max((entry.number for entry in each.read), default=-1)
        if not self.has(Guard.NO_WATERMARK):
            return s._replace(watermark=max(s.watermark, highest))
        if not self.has(Guard.DELETE_WHAT_WAS_READ):
            return s._replace(source_log=frozenset(entry for entry in s.source_log if entry.number > highest))
        return s._replace(source_log=s.source_log - each.read)

    def echoed(self, s: State, each: Round) -> State:
        """The triggers take the round for an application."""
        taken = {entry.number for entry in s.source_log.union(s.target_log, *(other.read for other in s.rounds))}
        free = (number for number in itertools.count(1000) if number not in taken)
        echo, echo_back = (
            {
                Entry(next(free), key[0], key if write.before else None, key if write.after else None)
                for write in writes
                for key in [_key(write.place)]
            }
            for writes in (each.writes, each.writes_back)
        )
        return s._replace(
            target_log=s.target_log | echo if s.target_captured else s.target_log,
            source_log=s.source_log | echo_back if s.source_captured else s.source_log,
        )

    # Cut-over and rollback: the same steps, from one side to the other

    def turn(self, s: State) -> Iterator[tuple[str, State]]:
        if not s.complete:
            return
        kind, left = (ROLLBACK, TARGET) if self.scenario.turns[s.turned] == FORWARD else (CUT_OVER, SOURCE)
        begun = any(each.kind == kind for each in s.rounds)
        if s.drained:
            yield f"{kind} turns the direction", self.turn_now(s)._replace(drained=False)
            return
        if s.locked and not begun:
            yield f"{kind} gives up", s._replace(locked="")
        idle = not s.rounds or begun
        if idle and not s.locked and not self.writers(s, left) and (begun or self.has(Guard.SNAPSHOT_AFTER_LOCK)):
            yield f"{kind} locks the {left}", s._replace(locked=left)
        if not s.rounds and bool(s.locked) == self.has(Guard.SNAPSHOT_AFTER_LOCK):
            yield from self.begin(s, kind, *self.pending(s))

    def turn_now(self, s: State) -> State:
        return s._replace(direction=self.scenario.turns[s.turned], turned=s.turned + 1)


def _ranges(rows: Mapping[Key, Row]) -> tuple[Range, ...]:
    """One range of parents, two of children: up to the middle key that is there, and the rest."""
    children = sorted(key for key in rows if key[0] == "c")
    middle = children[(len(children) - 1) // 2] if children else "c"
    return Range("p", "", "p~"), Range("c", "", middle), Range("c", middle, "c~")


def _key(place: Key | Slot) -> Key:
    return place if isinstance(place, str) else place[1]


def _written(rows: frozenset[tuple[Any, Row]], writes: frozenset[Write]) -> frozenset[tuple[Any, Row]]:
    after = dict(rows) | {write.place: write.after for write in writes}
    return frozenset((place, row) for place, row in after.items() if row is not None)


def _changes(writes: frozenset[Write]) -> Changes:
    """By key; where a row leaves a place in the target, its key is gone for those who refer to it."""
    changes: Changes = {}
    for place, _, after in sorted(writes, key=lambda write: write.after is None):
        changes[_key(place)] = after
    return changes
