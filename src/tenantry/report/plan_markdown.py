"""The review of a plan as Markdown: for a pull request, or a document that people sign off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tenantry.plan import PHASES
from tenantry.plan.guide import GUIDE
from tenantry.report.formatting import count, seconds
from tenantry.report.terminal.plan import need_lines, noticed_lines, shown
from tenantry.review.review import PlanReview


def plan_markdown(review: PlanReview) -> str:
    """Return the plan with phases, locks, needs, criteria, rollback, samples and open questions."""
    return "\n".join(_lines(review)) + "\n"


def _lines(review: PlanReview) -> Iterator[str]:
    plan = review.plan
    yield f"# Plan of {_text(plan.name)}"
    yield ""
    yield (
        f"Schema {_code(plan.source_schema)} to {_code(plan.target_schema)}: {count(len(plan.steps), 'step')}, about"
        f" {seconds(plan.seconds)}. Digest of the plan {_code(plan.digest())}, of the manifest {_code(plan.manifest_digest)}."
    )
    yield ""
    yield "## Time and room"
    yield ""
    yield from (f"- {_text(line)}" for line in need_lines(review))
    yield ""
    yield "## Locks that make applications wait"
    yield ""
    yield from (f"- {_text(line)}" for line in noticed_lines(review))
    yield ""
    yield from _table(
        ("phase", "steps", "estimate", "purpose"),
        (
            (
                phase,
                str(len(plan.phase(phase))),
                seconds(sum(step.seconds for step in plan.phase(phase))),
                GUIDE[phase].purpose,
            )
            for phase in PHASES
        ),
    )
    for phase in PHASES:
        yield from _phase(review, phase)
    yield "## Samples before and after"
    yield ""
    yield from _samples(review)
    yield "## Open questions"
    yield ""
    yield from (
        f"- [ ] {_text(f'{each.subject}: {each.question} {each.advice}')} ({each.code})" for each in review.questions
    )
    if not review.questions:
        yield "None from the schemas and the samples. `tenantry analyze` reads all rows."


def _phase(review: PlanReview, phase: str) -> Iterator[str]:
    guide = GUIDE[phase]  # type: ignore[index]
    yield f"## {phase.capitalize()}"
    yield ""
    yield guide.purpose
    yield ""
    yield "Done when:"
    yield ""
    yield from (f"- [ ] {criterion.what} Check: `{criterion.command}`" for criterion in guide.criteria)
    yield ""
    yield "Go back if:"
    yield ""
    yield from (f"- {trigger}" for trigger in guide.triggers)
    yield ""
    yield f"How: {guide.procedure}"
    yield ""
    steps = [step for step in review.plan if step.phase == phase]
    yield from _table(
        ("step", "what", "estimate", "risk", "locks on tables in use"),
        (
            (
                step.id,
                step.title,
                seconds(step.seconds),
                step.risk,
                "; ".join(
                    f"{lock.mode} on {lock.schema}.{lock.table}: {', '.join(lock.blocks)} wait"
                    for lock in review.locks.get(step.id, ())
                ),
            )
            for step in steps
        ),
    )


def _samples(review: PlanReview) -> Iterator[str]:
    rows = []
    for each in review.samples:
        name = f"{each.mapping}.{each.column}"
        of = f"{each.unconvertible:,} of {each.looked_at:,}" + (" sampled" if each.sampled else "")
        if each.why_not or not each.samples:
            rows.append((name, each.why_not or "no value", "", "" if each.why_not else of))
        rows += [(name, shown(sample.before), shown(sample.after), of) for sample in each.samples]
    if rows:
        yield from _table(("column", "before", "after", "cannot be converted"), rows)
    else:
        yield "No column is converted, or no samples were taken (`--no-samples`)."
        yield ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(_text(cell) for cell in row)} |"
    yield ""


def _text(value: str) -> str:
    """Escape a text that may hold names and values from a database; `commands` stay code."""
    plain = " ".join(value.split())
    for sign in "\\|*_<>[]#":
        plain = plain.replace(sign, f"\\{sign}")
    return plain


def _code(value: str) -> str:
    return f"`{value.replace('`', '')}`"


__all__ = ["plan_markdown"]
