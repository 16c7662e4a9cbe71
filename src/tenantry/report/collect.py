"""The report as data: one JSON object for the terminal, the HTML page and other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from tenantry import __version__
from tenantry.accounts.outcomes import fates, people
from tenantry.analyze import Finding
from tenantry.journal.journal import Connection, Journal, last_run, run_sql
from tenantry.mapping import Project
from tenantry.mapping.reasons import explain_reason
from tenantry.migrate.run.engine import Outcome
from tenantry.migrate.verify.not_compared import not_compared
from tenantry.plan import Plan
from tenantry.postgres import ident, verbatim
from tenantry.report.timeline import read_timeline


@dataclass(frozen=True, slots=True)
class Duration:
    """The duration of a stage."""

    stage: str
    seconds: float


def recorded_durations(connection: Connection, run: int) -> list[Duration]:
    """Return the duration of each phase of a run, from its first step to its last, according to the journal."""
    times: dict[str, list[datetime]] = {}
    for row in Journal(run).say(connection, "steps"):
        times.setdefault(row[7], []).extend(moment for moment in (row[2], row[3]) if moment is not None)
    return [
        Duration(phase, round((max(moments) - min(moments)).total_seconds(), 2))
        for phase, moments in times.items()
        if moments
    ]


def quarantine_summary(connection: Connection, project: Project) -> list[dict[str, Any]]:
    """Return the open quarantine by table and reason: what is wrong, how to fix it, the number of rows, and some keys."""
    summary = []
    for mapping, reason, column, count, keys in run_sql(connection, "quarantine_summary"):
        said = explain_reason(reason, column, next((each for each in project if each.name == mapping), None))
        summary.append(
            {
                "mapping": mapping,
                "reason": reason,
                "column": column,
                "count": count,
                "keys": list(keys),
                "what": said.what,
                "fix": said.fix,
            }
        )
    return summary


_PEOPLE = 500
"""Users in the report's list who need an action; `tenantry users list` has all of them."""


def users_summary(connection: Connection, project: Project) -> dict[str, Any] | None:
    """Return the outcomes for the users: counts by fate."""
    users = project.manifest.users
    mapping = next((each for each in project if each.profile), None)
    if users is None or mapping is None:
        return None
    row = connection.execute(
        f"select (select count(*) from {verbatim(ident(project.target.schema, mapping.target.name))}),"
        " (select count(*) from tenantry.account_link where account_id is not null and not made),"
        " (select count(*) from tenantry.merged where mapping = %(mapping)s),"
        " (select count(*) from tenantry.quarantine where mapping = %(mapping)s and state = 'open'),"
        " (select count(*) from tenantry.account where is_super)",
        {"mapping": mapping.name},
    ).fetchone()
    assert row is not None
    found = fates(connection, project)
    acted = [each.situation.name for each in found if each.situation.does]
    return {
        "profiles": row[0],
        "linked": row[1],
        "merged": row[2],
        "quarantined": row[3],
        "super_admins": row[4],
        "situations": [each.to_json() for each in found],
        "to_do": [each.to_json() for each in people(connection, project, acted, limit=_PEOPLE)],
        "to_do_count": sum(each.count for each in found if each.situation.does),
    }


@dataclass(frozen=True, slots=True)
class RunResults:
    """What one process found, did and showed.

    Attributes:
        outcome: None if it did not migrate.
        proof: `Proof.to_json()`.
    """

    findings: Sequence[Finding] = ()
    outcome: Outcome | None = None
    proof: Mapping[str, Any] | None = None
    durations: Sequence[Duration] = ()


def build_report(
    connection: Connection,
    project: Project,
    *,
    plan: Plan,
    results: RunResults | None = None,
    command_prefix: str,
) -> dict[str, Any]:
    """Return everything that was found, done and shown, as plain JSON types.

    Args:
        results: what was found, done and shown by this process; the rest is read from the journal.
    """
    results = results or RunResults()
    outcome = results.outcome
    row = connection.execute("select current_database(), current_setting('server_version')").fetchone()
    assert row is not None
    run = last_run(connection)
    quarantine = quarantine_summary(connection, project)
    merged = [
        {"mapping": mapping, "reason": reason, "count": count, "keys": list(keys)}
        for mapping, reason, count, keys in run_sql(connection, "merged_summary")
    ]
    changes = [
        {"mapping": mapping, "column": column, "rule": rule, "count": count, "keys": list(keys)}
        for mapping, column, rule, count, keys in run_sql(connection, "change_summary")
    ]
    report: dict[str, Any] = {
        "tool": {"name": "tenantry", "version": __version__},
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "name": project.manifest.name,
        "database": row[0],
        "server_version": row[1],
        "source": {
            "schema": project.source.schema,
            "tables": [
                {"name": table.name, "rows": max(table.row_estimate, 0), "bytes": table.size_bytes}
                for table in project.source_tables
            ],
        },
        "target": {
            "schema": project.target.schema,
            "tables": len(project.target.tables),
            "new_tables": [table.name for table in project.new_tables],
        },
        "trial": project.trial,
        "direction": run.direction if run is not None else None,
        "contracted": run is not None and run.status == "contracted",
        "subset": asdict(project.subset) if project.subset is not None else None,
        "durations": [asdict(duration) for duration in results.durations],
        "findings": [finding.to_json() for finding in results.findings],
        "plan": {
            "digest": plan.digest(),
            "estimated_seconds": round(plan.seconds, 1),
            "steps": [
                {
                    "id": step.id,
                    "phase": step.phase,
                    "title": step.title,
                    "lock": step.lock,
                    "risk": step.risk,
                    "risk_note": step.risk_note,
                    "estimated_seconds": round(step.seconds, 2),
                }
                for step in plan
            ],
        },
        "quarantine": quarantine,
        "merged": merged,
        "changes": changes,
        "users": users_summary(connection, project) if outcome is not None else None,
        "planted": None,
        "proof": dict(results.proof) if results.proof is not None else None,
    }
    timeline = read_timeline(connection)
    if timeline is not None:
        report["timeline"] = timeline.to_json()
    if outcome is not None:
        report["phases"] = [asdict(timing) for timing in outcome.timings]
        report["accounts"] = [{**asdict(account), "balanced": account.balanced} for account in outcome.accounts]
        report["verifications"] = [check.to_json() for check in outcome.verifications]
        report["not_compared"] = [each.to_json() for each in not_compared(connection, project)]
        report["rows"] = outcome.rows
        report["migration_seconds"] = round(outcome.seconds, 2)
    report["summary"] = summary(report)
    report["next"] = next_steps(report, command_prefix)
    return report


def summary(report: Mapping[str, Any]) -> list[str]:
    """Summarize the report in a few sentences."""
    said = []
    tables = report["source"]["tables"]
    warnings = sum(finding["severity"] in ("warning", "blocker") for finding in report["findings"])
    found = f"Found: {len(tables)} tables in schema {report['source']['schema']}"
    if report["findings"]:
        found += f"; {len(report['findings'])} findings, {warnings} of them need attention"
    said.append(f"{found}.")
    if report.get("trial"):
        subset = report["subset"]
        said.append(
            f"Pilot: {subset['tenants']:,} of {subset['of']:,} tenants ({subset['condition']}); all others are untouched."
        )
    if "accounts" in report:
        accounts = report["accounts"]
        source = sum(account["source"] for account in accounts)
        said.append(
            f"Moved: {report['rows']:,} rows into {report['target']['tables']} tables of schema {report['target']['schema']}"
            f" in {report['migration_seconds']:.1f} s; "
            + (
                f"{source:,} source rows are accounted for, table by table."
                if all(account["balanced"] for account in accounts)
                else "source rows are NOT all accounted for."
            )
        )
        quarantined = sum(entry["count"] for entry in report["quarantine"])
        reasons = ", ".join(
            f"{entry['count']} × {entry['what']} ({entry['mapping']})" for entry in report["quarantine"][:3]
        )
        merged = sum(entry["count"] for entry in report["merged"])
        said.append(
            f"Quarantined: {quarantined:,} rows, with their originals"
            + (f"; most often: {reasons}." if quarantined else ".")
            + (f" Merged: {merged:,} duplicates of another row." if merged else "")
        )
        checks = report["verifications"]
        failed = sum(not check["passed"] for check in checks)
        compared = sum(check["compared"] for check in checks if check["check"] == "rows")
        said.append(
            f"Verified: {compared:,} rows compared with their source, with checksums, ids, references, keys and rules: "
            + ("no differences." if not failed else f"{failed} of {len(checks)} checks FAILED.")
        )
    proof = report["proof"]
    if proof is not None:
        counts = proof["counts"]
        said.append(
            f"Proved: {counts['cells']:,} cells of the access matrix executed as a client's login"
            f" and {counts['checks']} static checks: "
            + ("every one holds" if proof["passed"] else "NOT all hold")
            + (
                f"; {counts['untried']} cells could not be tried ({'; '.join(proof['notes'])})."
                if counts["untried"]
                else "."
            )
        )
    return said


def next_steps(report: Mapping[str, Any], prefix: str) -> list[str]:
    """Return the next steps, as commands if possible."""
    steps = []
    if report["quarantine"]:
        first = report["quarantine"][0]
        steps.append(
            f"Fix the rows in quarantine: `{prefix} quarantine list`, `{prefix} quarantine show <number>`,"
            f" `{prefix} quarantine retry` ({first['count']} × {first['what']})."
        )
    users = report.get("users")
    if users:
        steps += [
            f"{each['does']} ({each['count']:,} × {each['title']}; `{prefix} users list --situation {each['name']}`)"
            for each in users.get("situations", ())
            if each["does"] and each["name"] != "quarantined"
        ]
    if report.get("trial"):
        steps.append(
            f"Prove the pilot: `{prefix} prove`. Then migrate all other tenants: `{prefix} migrate --rest`; or undo the pilot:"
            f" `{prefix} rollback --everything`."
        )
    elif report.get("direction") in ("reverse", "both"):
        if not report.get("contracted"):
            steps.append(
                f"Keep `{prefix} replay` running: it replays changes of schema {report['target']['schema']} into the source, so that"
                f" `{prefix} rollback` can go back at any time. When you are sure, complete the migration: `{prefix} contract`."
            )
    elif "accounts" in report:
        steps.append(
            f"Cut over when you are ready: `{prefix} cutover`. Until then applications keep writing the source, and only the migration"
            f" writes the target; afterwards applications use schema {report['target']['schema']}, and the source refuses writes."
        )
    if "accounts" in report and not report.get("trial"):
        steps.append(f"Run `{prefix} prove` in CI, so that no later change breaks tenant isolation.")
    return steps
