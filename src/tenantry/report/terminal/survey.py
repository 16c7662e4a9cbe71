"""Prints the results of a survey."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tenantry.report.terminal.table_layout import new_table
from tenantry.survey import Survey
from tenantry.survey.model import Candidate


def survey(console: Console, found: Survey, *, everything: bool = False) -> None:
    """Print tables by kind, candidates with their reasons, and the references without a foreign key."""
    console.print(
        f"Database {found.database}, schema {found.schema}, PostgreSQL {found.server}: {len(found.tables)} tables",
        markup=False,
    )
    console.print()
    _tables(console, found)
    _candidates(console, "Candidates for the tenant", found.tenants, everything=everything)
    _candidates(console, "Which table holds the people who sign in", found.users, everything=everything)
    _users(console, found)
    _references(console, found)
    for note in found.notes:
        console.print(f"Note: {note}", markup=False)


def _tables(console: Console, found: Survey) -> None:
    table = new_table(
        "table",
        "kind",
        "rows",
        "why, and the path to the tenant",
        right=("rows",),
        wrapped=("why, and the path to the tenant",),
    )
    for each in found.tables:
        said = Text(each.reason)
        for path in each.paths[:3]:
            said.append(f"\n{path}", "dim")
            if path.rows and path.reached < path.rows:
                said.append(f"  (no tenant for {path.rows - path.reached:,} of {path.rows:,})", "dim")
            if path.disagree:
                said.append(f"  ({path.disagree:,} lead to another tenant)", "yellow")
        table.add_row(each.name, each.kind, f"{each.rows:,}" if each.rows >= 0 else "?", said)
    console.print(table)


def _candidates(console: Console, title: str, found: tuple[Candidate, ...], *, everything: bool) -> None:
    console.print()
    if not found:
        console.print(f"{title}: nothing was found.", markup=False)
        return
    console.print(title, style="bold")
    table = new_table("candidate", "score", "reasons", right=("score",), wrapped=("reasons",))
    for each in found if everything else found[:4]:
        table.add_row(candidate_name(each), str(each.score), "; ".join(each.reasons))
    console.print(table)


def candidate_name(each: Candidate) -> str:
    """Describe a candidate in a few words."""
    match each.form:
        case "person":
            return f"each person ({each.table})"
        case "column":
            return f"each value of {each.column}"
        case "constant":
            return "one tenant for everything"
        case _:
            return each.table


def _users(console: Console, found: Survey) -> None:
    columns = found.users_columns
    said = [f"e-mail {columns.email}"] if columns.email else []
    if columns.password:
        where = f"{columns.password_table}." if columns.password_table else ""
        kinds = f" ({', '.join(columns.hash_kinds)})" if columns.hash_kinds else ""
        said.append(f"password {where}{columns.password}{kinds}")
    if columns.role:
        said.append(f"role {columns.role}")
    if found.membership:
        said.append(f"memberships in {found.membership}")
    if found.roles:
        said.append(f"roles: {', '.join(found.roles)}")
    if said:
        console.print(f"Of the people: {'; '.join(said)}.", markup=False)


def _references(console: Console, found: Survey) -> None:
    console.print()
    if not found.undeclared:
        console.print("Every reference that was found has a foreign key.", markup=False)
    else:
        console.print("References without a foreign key", style="bold")
        table = new_table("where", "names rows of", "found", "evidence", wrapped=("where", "evidence"))
        for each in found.undeclared:
            when = f" where {each.when[0]} is {each.when[1]}" if each.when else ""
            table.add_row(f"{each.place}{when}", each.parent, f"{each.found} of {each.values}", "; ".join(each.reasons))
        console.print(table)
    if found.external:
        places = ", ".join(f"{each.place} ({each.shape})" for each in found.external)
        console.print(f"Ids of other systems, which no table here has: {places}.", markup=False)
