"""Prints a whole proof as an HTML page and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tenantry import __version__
from tenantry.access.html import matrix_html
from tenantry.mapping.project import Project
from tenantry.prove.attacks.harness.model import FAMILIES, AttackResult
from tenantry.prove.evidence import ProofEvidence
from tenantry.prove.matrix.markdown import proof_markdown
from tenantry.report.html import environment
from tenantry.report.html_page import proof_of

UNPROVED_HINT = (
    "A proof needs rows of two tenants, and a member of one of them: `tenantry prove --copy` creates them on a copy of the database."
    " Or name what was not discovered with --tenant-column, --schema and --role."
)
"""The advice if nothing could be tried."""

_MOST = 200
"""Maximum number of lines of one kind on the page; --json has all of them."""


def render_evidence(evidence: ProofEvidence, project: Project | None) -> str:
    """Return the proof as one self-contained HTML file; with the access matrix in words if there is a manifest."""
    families = [(family, _of(evidence.attacks, family)) for family in FAMILIES]
    return (
        environment()
        .get_template("evidence.html.j2")
        .render(
            evidence=evidence,
            failed=[result for result in evidence.results() if result.counts],
            findings=evidence.lint.findings if evidence.lint else (),
            allowed=evidence.lint.allowed if evidence.lint else (),
            proof=proof_of({"proof": evidence.matrix.to_json()} if evidence.matrix else {}),
            families=[(family, attacks) for family, attacks in families if attacks],
            access=matrix_html(project) if project is not None else "",
            most=_MOST,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            version=__version__,
        )
    )


def write_evidence(evidence: ProofEvidence, project: Project | None, file: Path) -> None:
    """Write the page; create the folder if it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(render_evidence(evidence, project), encoding="utf-8")


def _of(attacks: tuple[AttackResult, ...], family: str) -> list[AttackResult]:
    mine = [each for each in attacks if each.attack.family == family]
    return sorted(mine, key=lambda each: (not each.failed, each.outcome != "broken"))


# -- Markdown ----------------------------------------------------------------------------------------------------------


def evidence_markdown(evidence: ProofEvidence) -> str:
    """Return a table of what was covered, failures, and what was not tried; then the executed matrix."""
    return "\n".join([*_lines(evidence), ""])


def _lines(evidence: ProofEvidence) -> Iterator[str]:
    yield f"# Proof of isolation of {evidence.name}: {'passed' if evidence.passed else 'FAILED'}"
    yield ""
    if evidence.unproved:
        yield f"Nothing was proved, since {evidence.unproved}. {UNPROVED_HINT}"
        yield ""
    yield f"Database `{evidence.database}`, PostgreSQL {evidence.server}, {evidence.mode}, {evidence.seconds:.1f} seconds."
    yield ""
    yield "| Part | Covered | Passed | Failed | Not applicable | Not tried | Accepted | How |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for line in evidence.covered():
        numbers = [str(line.total), *(str(count) for count in line.counts.values()), str(line.accepted)]
        yield f"| {line.part} | {' | '.join(numbers if line.counts else ['–', '', '', '', '', ''])} | {_cell(line.said)} |"
    for note in (*evidence.scope, *evidence.notes):
        yield f"\n{_cell(note)}"
    results = evidence.results()
    for title, chosen in (
        ("Failed", [each for each in results if each.counts]),
        ("Worth knowing", [each for each in results if each.outcome == "failed" and not each.counts]),
        ("Not applicable, not tried", [each for each in results if each.outcome in ("not applicable", "not tried")]),
    ):
        if chosen:
            yield from ("", f"## {title}", "")
            for each in chosen:
                on = f" on `{each.object}`" if each.object else ""
                yield f"- {each.group}: **{each.name}**{on}: {_cell(each.message)}"
    if evidence.attacks:
        yield from ("", "## Attacks", "", "| Attack | Outcome | Evidence |", "| --- | --- | --- |")
        for attack in evidence.attacks:
            yield f"| `{attack.attack.name}` | {attack.outcome} | {_cell(attack.evidence)} |"
    if evidence.matrix is not None:
        yield ""
        yield proof_markdown(evidence.matrix).replace("\n## ", "\n### ").replace("# Proof of isolation", "## Matrix", 1)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


__all__ = ["evidence_markdown", "render_evidence", "write_evidence"]
