"""Questions about the whole: what a tenant is, what belongs to none, where paths disagree."""

from __future__ import annotations

from tenantry.draft.context import Drafting
from tenantry.draft.model import Question


def _chosen(work: Drafting) -> str:
    if work.constant:
        return "the whole database is the first of many"
    if work.values:
        return f"each value of {work.values}"
    return f"each person ({work.users})" if work.person else f"a row of {work.root}"


def _of_disagreement(work: Drafting, table: str) -> tuple[str, tuple[str, ...]]:
    """Return what is done with rows on which paths disagree, and the alternative."""
    if table in work.fallbacks:
        return (
            "The first path decides; the other one counts only for rows that it leads to no tenant (fallback).",
            ("Move the path from `fallback` to `tenant`: rows on which they disagree are quarantined.",),
        )
    return "These rows are quarantined.", (
        "Correct them in the source, or remove the path from `tenant`; in `fallback` it would count only for rows that no other path"
        " leads to a tenant.",
    )


def _ask_about_nesting(work: Drafting) -> None:
    """Ask whether rights go down where tenants name a tenant above."""
    made = work.out.table(work.out.tenant)
    for each in work.by_value(work.root) if work.root and made is not None else ():
        column = made.of_source(each.columns[0]) if made is not None and len(each.columns) == 1 else None
        if each.parent == work.root and column is not None:
            work.out.questions.append(
                Question(
                    f"tenant.{column.name}", "Do members of a tenant have rights in the tenants below it?",
                    (f"{work.root}.{each.columns[0]} names a row of {work.root}",), "No: a membership counts in its tenant alone.",
                    (f'[tenant] parent = "{column.name}": it gives the same role in all tenants below.',), 8,
                )
            )  # fmt: skip


def _ask_about_rows_without_tenant(work: Drafting) -> None:
    """Ask about rows that no path leads to a tenant, such as a list that every tenant gets beside its own entries."""
    if work.constant or work.person or work.values:
        return
    for known in work.survey.tables:
        rows = max((path.rows for path in known.paths), default=0)
        lost = rows - sum(path.reached for path in known.paths)
        if known.name in work.scoped and 0 < lost < rows:
            work.out.questions.append(
                Question(
                    work.target_of[known.name], "Whose are the rows that no path leads to a tenant?",
                    (f"{lost} of {rows} sampled rows reach no tenant",),
                    "They are quarantined, with the rows that name them.",
                    ("If every tenant reads them, such as built-in entries: a table of their own for them in the target's files, with"
                     ' access = "shared", and a condition in both tables: where = "s.<column> is null".',
                     "Name another path, or write their tenant into the source."), 7,
                )
            )  # fmt: skip


def ask_the_rest(work: Drafting) -> None:
    """Add the questions that no single column raises."""
    out, survey = work.out, work.survey
    ranked = [each for each in survey.tenants if each.table or each.form != "table"]
    out.questions.append(
        Question(
            "tenant", "What is a tenant?",
            tuple(f"{each.table or each.column or each.form} ({each.form}): {each.score} points; {'; '.join(each.reasons)}" for each in ranked[:4]),
            _chosen(work), ("tenantry init --tenant TABLE", "tenantry init --tenant TABLE.COLUMN", "tenantry init --tenant constant",
             "tenantry init --person"), 10,
        )
    )  # fmt: skip
    _ask_about_nesting(work)
    for name, reason in out.ignored.items():
        if name in work.kinds and work.kinds[name].kind == "credentials":
            out.questions.append(
                Question(
                    name,
                    "Is this table needed after the migration?",
                    (reason,),
                    "It is not migrated ([source] ignore).",
                    (),
                    2,
                )
            )
    for table in out.tables:
        if (
            not table.scoped
            and table.kind not in ("tenant", "users", "lookup")
            and table.name not in (out.tenant, out.profile)
        ):
            out.questions.append(
                Question(
                    table.name, "Who owns these rows? No path leads from them to a tenant.",
                    (f"taken for: {work.kinds[table.source].kind}, {work.kinds[table.source].reason}",),
                    "They belong to no tenant, and only the service reads them.",
                    ("State the path: tenant = [\"column -> table\"], with the tenant column in the target's file.",
                     'access = "shared", if every signed-in user may read them.'), 7,
                )
            )  # fmt: skip
    _ask_about_rows_without_tenant(work)
    for known in survey.tables:
        bad = [path for path in known.paths if path.disagree]
        if bad:
            out.questions.append(
                Question(
                    known.name, "Paths to the tenant disagree for some rows.",
                    tuple(f"{path}: {path.disagree} of {path.rows} sampled rows lead to another tenant" for path in bad),
                    *_of_disagreement(work, known.name), 6,
                )
            )  # fmt: skip
    for each in survey.undeclared:
        if len(each.columns) > 1 and each.place.table in work.target_of:
            out.questions.append(
                Question(
                    f"{work.target_of[each.place.table]}.{each.place.column}", f"With others it names rows of {each.parent}.",
                    each.reasons, "The value is copied unchanged.",
                    (f"Add the foreign key ({', '.join(each.columns)}) to the source, and run `tenantry init` again.",), 4,
                )
            )  # fmt: skip
    if survey.users_columns.email and work.users:
        out.questions.append(
            Question(
                "users", "Who becomes a super admin, with access to every tenant?", ("The source does not say.",), "Nobody.",
                ('[users] super = "s.role = \'admin\'"',), 5,
            )
        )  # fmt: skip
