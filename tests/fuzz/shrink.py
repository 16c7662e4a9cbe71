"""A failing case with whatever left out that its failure does not need."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.grammar import MOST_TABLES, make
from tests.fuzz.job import Job, Result, run
from tests.fuzz.spec import Case


def parts_of(case: Case) -> Iterator[str]:
    """Names for `without`, the largest parts first; each is drawn by itself, so that the rest stays as it is."""
    yield from case.features
    yield from (f"table {place}" for place in reversed(range(MOST_TABLES)))
    for place in range(MOST_TABLES):
        yield from (f"reference {place}.{n}" for n in ("0", "1", "self"))
    for place in ("root", "people", *range(MOST_TABLES)):
        yield from (f"column {place}.{n}" for n in range(5))


def shrink(job: Job) -> tuple[Job, Result]:
    """The job with as much left out as the same failure does without."""
    best, found = job, run(job)
    if not found.problem:
        return job, found
    kind = _kind(found.problem)
    for part in parts_of(make(job.seed, also=job.also)):
        tried = Job(**{**vars(best), "without": (*best.without, part)})
        result = run(tried)
        if result.problem and _kind(result.problem) == kind:
            best, found = tried, result
    for writes in (0, 2, 4, 8):
        tried = Job(**{**vars(best), "writes": writes})
        result = run(tried)
        if result.problem and _kind(result.problem) == kind:
            best, found = tried, result
            break
    run(best)
    return best, found


def _kind(problem: str) -> str:
    """Failures of one kind begin alike; numbers and names are of the single case."""
    code = next((word for word in problem.split() if word.startswith("TN-")), "")
    return code or " ".join(problem.split()[:3])
