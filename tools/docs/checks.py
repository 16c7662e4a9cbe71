"""docs/reference/checks.md, from the headers of the checks."""

from __future__ import annotations

from collections import Counter

from tenantry.prove.lint.checks import LEVELS, CheckFile, check_files

_NEEDS = {
    "manifest": "a manifest",
    "tenant": "a tenant column",
    "membership": "a table of memberships",
    "login": "a manifest's login",
    "definer": "a manifest's definer role",
    "tenantry": "schema `tenantry`",
    "storage": "schema `storage`",
}


def page() -> str:
    """Return the reference of the checks, in Markdown."""
    checks = check_files()
    counts = Counter(check.level for check in checks)
    said = ", ".join(f"{counts[level]} of level {level}" for level in LEVELS)
    lines = [
        "# Checks of `tenantry lint`",
        "",
        f"{len(checks)} checks: {said}. Each is one file in `src/tenantry/prove/lint/sql`; this page is made from the headers"
        " (`make docs`). The level is the highest that a check reports; a less serious finding has a lower one.",
        "",
        "An **error** opens another tenant, or bypasses the policies; a **warning** may lead to an error;"
        " **info** is worth knowing. [How to lint](../how-to/lint.md) describes what is checked, and how to accept intended exceptions.",
        "",
        "| Check | Level | What a database without findings guarantees |",
        "| --- | --- | --- |",
        *(f"| [`{check.name}`](#{check.name}) | {check.level} | {_cell(check.title)} |" for check in checks),
        "",
    ]
    for check in checks:
        lines += _section(check)
    return "\n".join(lines)


def _section(check: CheckFile) -> list[str]:
    needs = [_NEEDS.get(need, need) for need in check.needs]
    lines = [
        f"## {check.name}",
        "",
        f"{check.title}. Level: {check.level}." + (" Part of `tenantry prove`." if check.proof else ""),
    ]
    if needs:
        lines.append(f"Needs {' and '.join(needs)}.")
    return [*lines, "", f"Why: {_text(check.why)}", "", f"To fix it: {_text(check.fix)}", ""]


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    """SQL in the headers stands there without marks; what Markdown would take for its own is escaped."""
    return text.replace("*", "\\*").replace("<", "\\<")
