"""What one connection of the load keeps in mind, whichever side it writes."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from tests.chaos.ledger import Connection, Effects, Ledger, Side

Attributes = dict[str, Any]
Pool = dict[str, dict[str, Attributes]]


class Skip(Exception):
    """There is no row to do this with just now."""


class TakenBack(Exception):
    """The application rolls its transaction back by itself."""


class Vanished(Exception):
    """A row that the application wrote, and nobody else may touch, does not answer."""


class Work:
    """One connection's rows, and the transactions that it knows. Each connection writes rows of its own, so that it knows
    their last token; rows of others are only referenced. The hot rows are everybody's.

    A transaction states what it does in `effects`, and what changes in the rows that it remembers in `after`; both count
    when the server has acknowledged the commit.
    """

    side: ClassVar[Side]
    WEIGHTS: ClassVar[dict[str, int]]
    TAKEN_ALONG: ClassVar[dict[str, tuple[str, str, str]]] = {}
    """Table → (parent, the child's attribute, the parent's attribute or "" for its key) where rows go with their parent."""

    def __init__(
        self,
        number: int,
        seed: int,
        ledger: Ledger,
        *,
        truncate: bool = True,
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> None:
        self.number = number
        self.ledger = ledger
        self.rng = random.Random(f"{seed}/{number}/{self.side}")  # noqa: S311 - the same load for the same seed
        self.truncate = truncate
        self.pool: Pool = {}
        self.dead: dict[str, list[str]] = {}
        self.hot: list[tuple[str, str]] = []
        self.effects = Effects()
        self.after: list[Callable[[], object]] = []
        self._said: dict[tuple[str, str], Attributes] = {}
        self._prefix = f"{seed}.{number}.{self.side[0]}"
        self._serial = 0
        names = [name for name in sorted(self.WEIGHTS) if (name in only or not only) and name not in without]
        self._names, self._weights = names, [self.WEIGHTS[name] for name in names]

    def choose(self) -> str:
        """The name of the next transaction."""
        return self.rng.choices(self._names, self._weights)[0]

    def do(self, name: str, connection: Connection) -> None:
        """Run a transaction's statements; the caller commits."""
        self.effects, self.after, self._said = Effects(), [], {}
        getattr(self, name)(connection)

    def settle(self) -> None:
        """The commit was acknowledged."""
        for each in self.after:
            each()

    def doubt(self) -> None:
        """Nobody knows whether the commit happened: what it touched is left alone from now on, and so are the parents with
        which these rows would go."""
        for table, key in self.effects.tokens:
            before = self.pool[table].pop(key, {})
            if table not in self.TAKEN_ALONG:
                continue
            parent, attribute, name = self.TAKEN_ALONG[table]
            theirs = {row[attribute] for row in (before, self._said.get((table, key), {})) if attribute in row}
            for each, row in list(self.pool[parent].items()):
                if (row.get(name) if name else each) in theirs:
                    del self.pool[parent][each]

    # -- names and numbers -------------------------------------------------------------------------------------------

    def token(self) -> str:
        self._serial += 1
        return f"t{self._prefix}.{self._serial}"

    def number_token(self) -> str:
        self._serial += 1
        return f"9{self.number:02d}{0 if self.side == 'source' else 1}{self.rng.randrange(10**4):04d}{self._serial:06d}"

    def key(self) -> str:
        """An id in one of the forms that the old application's tables hold."""
        kind = self.rng.random()
        if kind < 0.12:
            return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        if kind < 0.18:
            made = str(uuid.UUID(int=self.rng.getrandbits(128), version=4)).upper()
            return "{" + made + "}" if kind < 0.15 else made
        if kind < 0.24:
            return str(self.rng.randrange(10**8, 10**9))
        if kind < 0.27:
            return f" o'{self.rng.getrandbits(40):x}\\ü"
        return f"c{self.rng.getrandbits(110):028x}"

    # -- rows --------------------------------------------------------------------------------------------------------

    def pick(self, table: str, where: Callable[[Attributes], bool] | None = None) -> str:
        keys = list(self.pool[table])
        if where is not None:
            keys = [key for key in keys if where(self.pool[table][key])]
        if not keys:
            raise Skip(table)
        return self.rng.choice(keys)

    def some(self, table: str, most: int) -> list[str]:
        keys = list(self.pool[table])
        if not keys:
            raise Skip(table)
        # In the order of their keys: connections that lock several rows do so in one order.
        return sorted(self.rng.sample(keys, min(len(keys), self.rng.randint(2, most))))

    def put(self, table: str, key: str, token: str | None, **attributes: Any) -> None:
        """The row is there with this token; what else is said of it is remembered."""
        self.effects.put(table, key, token)
        self._said.setdefault((table, key), {}).update(attributes)
        self.after.append(lambda: self.pool[table].setdefault(key, {}).update(attributes))

    def gone(self, table: str, key: str, *, again: bool = True) -> None:
        self.effects.gone(table, key)

        def forget() -> None:
            self.pool[table].pop(key, None)
            if again:
                self.dead.setdefault(table, []).append(key)

        self.after.append(forget)

    def renamed(self, table: str, old: str, new: str, token: str | None) -> None:
        self.effects.gone(table, old)
        self.effects.put(table, new, token)

        def move() -> None:
            self.pool[table][new] = self.pool[table].pop(old, {})

        self.after.append(move)

    def follow(self, child: str, attribute: str, old: str, new: str | None) -> None:
        """Children's references change with a parent's key."""

        def change() -> None:
            for row in self.pool[child].values():
                if row.get(attribute) == old:
                    row[attribute] = new

        self.after.append(change)

    def new_key(self, table: str) -> str:
        """A new key, or now and then one that a deleted row had."""
        dead = self.dead.get(table, [])
        if dead and self.rng.random() < 0.3:
            return dead.pop(self.rng.randrange(len(dead)))
        return self.key()

    # -- statements --------------------------------------------------------------------------------------------------

    @staticmethod
    def one(connection: Connection, statement: str, values: Sequence[Any]) -> None:
        Work.count(connection, statement, values, 1)

    @staticmethod
    def count(connection: Connection, statement: str, values: Sequence[Any], wanted: int) -> None:
        """Run a statement over rows that are the connection's own: it finds just these."""
        done = connection.execute(statement, values).rowcount
        if done != wanted:
            raise Vanished(f"expected {wanted} rows, got {done}: {statement} {list(values)!r:.300}")
