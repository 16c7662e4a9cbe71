"""The plan: phases of steps, as frozen data. It holds no connection; it can be printed, reviewed, stored and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["expand", "capture", "copy", "replay", "verify", "secure", "cut over", "contract"]
PHASES: tuple[Phase, ...] = ("expand", "capture", "copy", "replay", "verify", "secure", "cut over", "contract")

Kind = Literal["sql", "capture", "copy", "replay", "verify", "check", "cut over", "contract"]
"""How a step is run: its statements in one transaction; the same on a table that applications use, retried with a
short lock_timeout; range by range; round by round from the change queue; by comparing every row of a mapping; by a check
of the whole target; under the source's lock; only when the owner says that it is final. `migrate.run.executors` has one
executor for each kind that a run executes on its own."""

Rerun = Literal["never", "rest", "always"]
"""Whether a completed step runs again: never; when a pilot run continues with all other tenants; on every resume,
because it checks the current state."""

Check = Literal["catalog", "ids", "references", "rules"]
"""Checks of the whole target: its keys and triggers match the plan, no id belongs to two rows, every parent exists, and
the manifest's business rules hold."""

Effect = Literal["creates auth", "creates target", "fences target", "captures", "drops source"]
"""An effect of a step that a run must know: that it creates schema `auth` or the target's tables, refuses writes to the target,
records changes of its table, or drops the source."""

Risk = Literal["none", "low", "medium", "high"]


SUCCESS = (
    "For every table: source rows = target rows + quarantined + merged.",
    "Every row of the target matches its source row: checksums agree in every key range.",
    "Old and new ids are one to one; every reference has its parent; every key and check exists and is valid.",
    "No row violates the manifest's business rules.",
    "The access proof holds in every cell.",
)
"""When a migration is complete. The first four are checked before the cut-over, which is refused if one fails."""

ROLLBACK = (
    "`tenantry rollback` reverses the cut-over: it writes changes made since then to the source, and nothing is lost."
    " `tenantry rollback --everything` undoes the run from every phase: every step's undo, last step first, leaves the source as it"
    " was. Only `tenantry contract` is final. A failed verification, a failed step or a stopped run never cuts over."
)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation and how to undo it.

    Attributes:
        id: unique in the plan: phase and kind, both chosen by Tenantry, and after a colon the name of the object, such as
            `copy.rows:metric_values`; without an object, such as `copy.accounts`. So a table's name never equals a step's.
        sql: statements, run in one transaction that also marks the step as done. For a copy, they run once for each
            chunk, and the token `/* key range */ true` is replaced by its range.
        undo: statements that undo the step, once every later step has been undone.
        lock: the strongest lock that others can notice, on what, and for how long.
        seconds: estimated duration on one ordinary core; see docs/explanation/estimates.md.
        after: ids of steps that must be done before.
        rows: estimated number of rows that it reads.
        gone_with_target: dropping the target's schema and the journal undoes it too, so a full rollback skips its undo.
        rerun: whether it runs again when a run resumes.
        undo_first: it is undone before it runs again.
        locks: schema and table that applications use and that it locks briefly; kind "capture" retries for the lock.
        thorough: for a replay: the copied ranges were read at different moments, so each row is checked as if it had moved.
        check: for kind "check": which check it runs.
        effect: what a run has to know that it does. Nothing reads a meaning off the id.
        does: what every step of this sort does, and when a plan has one, for docs/reference/steps.md; `title` describes this step.
        about: what the name in the id is the name of, as "table".
    """

    id: str
    phase: Phase
    kind: Kind
    title: str
    sql: tuple[str, ...]
    undo: tuple[str, ...]
    lock: str
    risk: Risk
    risk_note: str = ""
    seconds: float = 0.0
    after: tuple[str, ...] = ()
    mapping: str | None = None
    table: str | None = None
    rows: int = 0
    gone_with_target: bool = False
    rerun: Rerun = "never"
    undo_first: bool = False
    locks: tuple[str, str] | None = None
    thorough: bool = False
    check: Check | None = None
    effect: Effect | None = None
    about: str = ""
    does: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps of one migration, in an order in which each can run."""

    name: str
    manifest_digest: str
    source_schema: str
    target_schema: str
    steps: tuple[Step, ...]

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def phase(self, name: Phase) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.phase == name)

    def step(self, id: str) -> Step:
        return next(step for step in self.steps if step.id == id)

    def has_done(self, effect: Effect, done: Container[str], *, tables: Container[str | None] | None = None) -> bool:
        """Whether a step with this effect is among those that are done; of one of these tables, if some are given."""
        return any(
            step.id in done for step in self if step.effect == effect and (tables is None or step.table in tables)
        )

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "manifest_digest": self.manifest_digest,
            "source_schema": self.source_schema,
            "target_schema": self.target_schema,
            "digest": self.digest(),
            "seconds": round(self.seconds, 1),
            "steps": [{name: getattr(step, name) for name in Step.__slots__} for step in self.steps],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Plan:
        """Invert to_json(); what a review adds to the JSON is ignored."""
        steps = data["steps"]
        assert isinstance(steps, list)
        return cls(
            name=str(data["name"]),
            manifest_digest=str(data["manifest_digest"]),
            source_schema=str(data["source_schema"]),
            target_schema=str(data["target_schema"]),
            steps=tuple(
                Step(
                    **{  # type: ignore[arg-type]
                        key: tuple(value) if isinstance(value, list) else value
                        for key, value in step.items()
                        if key in Step.__slots__
                    }
                )
                for step in steps
            ),
        )

    def digest(self) -> str:
        """Return the SHA-256 of what the plan does: ids, statements and their order, without estimates."""
        content = [[step.id, step.kind, list(step.sql), list(step.undo), list(step.after)] for step in self.steps]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
