"""The plan: phases of steps, as frozen data. It holds no connection; it can be printed, reviewed, stored and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

Phase = Literal["expand", "capture", "copy", "replay", "verify", "secure", "cut over", "contract"]
PHASES: tuple[Phase, ...] = ("expand", "capture", "copy", "replay", "verify", "secure", "cut over", "contract")

Kind = Literal["sql", "capture", "copy", "replay", "verify", "check", "cut over", "contract"]
"""How a step is carried out: its statements in one transaction; the same on a table that applications use, retried with a
short lock_timeout; range by range; round by round from the change queue; by comparing every row of a mapping; by a check
of the whole target; under the source's lock; only when the owner says that it is final. `migrate.run.executors` has one
executor for each kind that a run carries out by itself."""

Rerun = Literal["never", "rest", "always"]
"""Whether a step that is done is done again: never; when a pilot run continues with all other tenants; on every resume,
since it says how things stand now."""

Check = Literal["catalog", "ids", "references", "rules"]
"""Checks of the whole target: its keys and triggers against the plan, ids that stand for two rows, rows whose parent is
missing, the manifest's business rules."""

Effect = Literal["creates auth", "creates target", "fences target", "captures", "drops source"]
"""What a run has to know that a step does: that it creates schema `auth` or the target's tables, refuses writes to the target,
records changes of its table, or drops the source."""

Risk = Literal["none", "low", "medium", "high"]


SUCCESS = (
    "For every table: source rows = target rows + quarantined + merged.",
    "Every row of the target is what its source row says: checksums agree in every key range.",
    "Old and new ids are one to one; no reference leads to nothing; every key and check is there and valid.",
    "The manifest's business rules find no row.",
    "The access proof holds in every cell.",
)
"""When a migration counts as done. The first four are checked before the cut-over, which is refused when one fails."""

ROLLBACK = (
    "`tenantry rollback` goes back from the cut-over: what was written since is carried back into the source, and nothing is lost."
    " `tenantry rollback --everything` undoes the run from every phase: every step's undo, last step first, leaves the source as it"
    " was. Only `tenantry contract` is final. A failed verification, a failed step or a stopped run never cuts over."
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done, and how it is taken back.

    Attributes:
        id: unique in the plan: phase and kind, both words of ours, and behind a colon the name of what it is about, as
            `copy.rows:metric_values` beside `copy.accounts`. So no table's name can meet another step.
        sql: statements, run in one transaction that also marks the step as done. For a copy: what runs for each chunk, with
            the token `/* key range */ true` where its range goes.
        undo: statements that take the step back, after everything that was done later has been taken back.
        lock: the strongest lock that others can feel, on what, and for how long.
        seconds: estimated duration on one ordinary core; see docs/explanation/estimates.md.
        after: ids of steps that must be done before.
        rows: rows that it has to look at, estimated.
        gone_with_target: dropping the target's schema and the journal takes it back as well, so that a full rollback
            skips its undo.
        rerun: whether it is done again when a run resumes.
        undo_first: it is undone before it is done again.
        locks: schema and table that applications use, and that it locks for a moment: kind "capture" retries for it.
        thorough: of a replay: what was copied was read at different moments, so that each row is looked at as if it had moved.
        check: of kind "check": which.
        effect: what a run has to know that it does. Nothing reads a meaning off the id.
        does: what every step of this sort does, and when a plan has one, for docs/reference/steps.md; `title` says it of this step.
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
    """All steps of one migration, in an order in which each may run."""

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
            "steps": [asdict(step) for step in self.steps],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Plan:
        steps = data["steps"]
        assert isinstance(steps, list)
        return cls(
            name=str(data["name"]),
            manifest_digest=str(data["manifest_digest"]),
            source_schema=str(data["source_schema"]),
            target_schema=str(data["target_schema"]),
            steps=tuple(
                Step(**{key: tuple(value) if isinstance(value, list) else value for key, value in step.items()})  # type: ignore[arg-type]
                for step in steps
            ),
        )

    def digest(self) -> str:
        """SHA-256 over what would be done: ids, statements and their order; not over estimates."""
        content = [[step.id, step.kind, list(step.sql), list(step.undo), list(step.after)] for step in self.steps]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
