"""Compares the rights on one object with the rights that the manifest gives. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tenantry.access.difference import AccessDifference
from tenantry.access.grants import Right, column_list
from tenantry.access.read_live import LiveAccess
from tenantry.catalog import PUBLIC, Grant
from tenantry.postgres import ident

Held = set[tuple[str, str, str | None]]
"""(role, RIGHT, column)."""


def expected_rights(rights: Iterable[Right]) -> Held:
    return {
        (role, privilege.upper(), column)
        for right in rights
        for role in right.roles
        for privilege in right.privileges
        for column in (right.columns or (None,))
    }


def held_rights(grants: Iterable[Grant]) -> Held:
    return {(grant.grantee, grant.privilege, grant.column) for grant in grants}


def compare_rights(
    live: LiveAccess, on: str, name: str, label: str, expected: Held, grants: Iterable[Grant], owner: str
) -> Iterator[AccessDifference]:
    """Compare the rights on one object, by role and right. Rights of its owner and of superusers are implied."""
    passed_over = {owner, live.owner, *live.superusers}
    counted = [grant for grant in grants if grant.grantee not in passed_over]
    found: Held = {(grant.grantee, grant.privilege, grant.column) for grant in counted}
    onward = {(grant.grantee, grant.privilege) for grant in counted if grant.grantable}
    for role, privilege in sorted({(role, privilege) for role, privilege, _ in expected | found}):
        want = {column for r, p, column in expected if (r, p) == (role, privilege)}
        got = {column for r, p, column in found if (r, p) == (role, privilege)}
        passes_on = (role, privilege) in onward
        if want == got and not passes_on:
            continue
        removes = bool(got - want) or passes_on
        who = "public" if role == PUBLIC else ident(role)
        target = name if on == "table" else f"{on} {name}"
        fix = [f"revoke {privilege.lower()} on {target} from {who} cascade;"] if removes else []
        if want:
            fix.append(f"grant {_right(privilege, want if removes else want - got)} on {target} to {who};")
        if owner != live.owner and owner not in live.superusers:
            # Only the grantor can revoke a right.
            fix = [f"set local role {ident(owner)};", *fix, f"set local role {ident(live.owner)};"]
        yield AccessDifference(
            "right",
            "missing" if not got else "extra" if not want else "different",
            label,
            f"{privilege} for {role}",
            _shown(privilege, want),
            _shown(privilege, got) + (", to be passed on" if passes_on else ""),
            fix=tuple(fix),
            removes=removes,
        )


def _right(privilege: str, columns: Collection[str | None]) -> str:
    named = tuple(sorted(column for column in columns if column is not None))
    return privilege.lower() if None in columns else column_list(privilege.lower(), named)


def _shown(privilege: str, columns: Collection[str | None]) -> str:
    if not columns:
        return "none"
    named = sorted(column for column in columns if column is not None)
    whole = [privilege] if None in columns else []
    return ", ".join([*whole, *([f"{privilege} ({', '.join(named)})"] if named else [])])


def listed_rights(held: Held) -> str:
    by_role: dict[str, set[str]] = {}
    for role, privilege, _ in held:
        by_role.setdefault(role, set()).add(privilege)
    return "; ".join(f"{role}: {', '.join(sorted(rights))}" for role, rights in sorted(by_role.items()))
