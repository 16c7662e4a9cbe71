"""Finds the table of people who sign in, and the meaning of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tenantry.catalog import Catalog, Table
from tenantry.mapping.values.type_names import TEXTS
from tenantry.survey.keys import plain_table, prefixes_of
from tenantry.survey.model import Candidate, FoundReference, UsersColumns
from tenantry.survey.names import words
from tenantry.survey.sample import Sample, base_type
from tenantry.survey.shapes import EMAIL, HASHES

_USERS = frozenset(
    ("user", "person", "people", "member", "profile", "account", "login", "employee", "staff", "identity")
)
_PASSWORD = frozenset(("password", "passwd", "pwd", "passphrase"))


def users_candidates(
    catalog: Catalog, samples: Mapping[str, Sample], references: Sequence[FoundReference] = ()
) -> tuple[Candidate, ...]:
    """Return tables of people who sign in, most likely first."""
    found = []
    prefixes = prefixes_of([table.name for table in catalog.tables])
    for table in catalog.tables:
        if table.name not in samples:
            continue
        score, reasons = _as_users(catalog, table, samples[table.name], references, prefixes)
        if score >= 40:
            found.append(Candidate(table.name, min(score, 100), tuple(reasons)))
    return tuple(sorted(found, key=lambda each: (-each.score, each.table)))


def _as_users(
    catalog: Catalog, table: Table, sample: Sample, references: Sequence[FoundReference], prefixes: frozenset[str]
) -> tuple[int, list[str]]:
    score, reasons = 0, []
    columns = columns_of_users(catalog, table, sample)
    name = plain_table(table.name, prefixes)
    if name[-1:] and name[-1] in _USERS:
        plain = len(name) == 1
        score += 35 if plain and name[-1] in ("user", "person", "people") else 20 if plain else 10
        reasons.append("its name is that of people" if plain else "its name ends with a word for people")
    if columns.email:
        share = _emails(sample, columns.email)
        unique = any(index.unique and index.columns in ((columns.email,), (None,)) for index in table.indexes)
        if share is None or share > 0.5:
            score += 20 + 15 * unique
            said = (
                f"{columns.email} holds e-mail addresses" if share is not None else f"it has a column {columns.email}"
            )
            reasons.append(said + (", each once" if unique else ""))
    if columns.password:
        score += 25
        kinds = f" ({', '.join(columns.hash_kinds)})" if columns.hash_kinds else ""
        reasons.append(f"{columns.password} holds passwords' hashes{kinds}")
    children = {each.place.table for each in references if each.parent == table.name and each.place.table != table.name}
    if children:
        score += min(15, 3 * len(children))
        reasons.append(f"{len(children)} table{'s name' if len(children) > 1 else ' names'} its rows")
    if not columns.email and not columns.password:
        score = min(score, 35)
    return score, reasons


def _emails(sample: Sample, column: str) -> float | None:
    """Return the share of e-mail addresses among the values; None without rows."""
    values = sample.distinct(column)
    return sum(bool(EMAIL.fullmatch(value.strip())) for value in values) / len(values) if values else None


def columns_of_users(catalog: Catalog, table: Table, sample: Sample) -> UsersColumns:
    """Determine the meaning of a users table's columns, by names and values."""
    email = password = name = role = verified = deleted = ""
    kinds: tuple[str, ...] = ()
    for column in table.columns:
        found, kind = words(column.name), base_type(catalog, column)
        text = kind in TEXTS
        if (
            not email
            and text
            and (found[:1] == ("email",) or found[:2] == ("e", "mail") or found[-1:] in (("email",), ("mail",)))
        ):
            email = column.name if "verified" not in found and "token" not in found else email
        elif (
            not password and text and set(found) & _PASSWORD and not {"reset", "token", "expires", "salt"} & set(found)
        ):
            password, kinds = column.name, hash_kinds(sample.distinct(column.name))
        elif not role and found[-1:] == ("role",):
            role = column.name
        elif (
            not verified
            and {"verified", "confirmed"} & set(found)
            and {"email", "is", "at", "verified", "confirmed"} & set(found)
        ):
            verified = column.name
        elif not deleted and found[:1] == ("deleted",):
            deleted = column.name
        elif not name and text and found in (("name",), ("full", "name"), ("display", "name"), ("username",)):
            name = column.name
    if not password:
        password, kinds = _by_hashes(sample)
    if not email:
        email = next((column.name for column in table.columns if (_emails(sample, column.name) or 0) > 0.8), "")
    return UsersColumns(email, password, "", name, role, verified, deleted, kinds)


def _by_hashes(sample: Sample) -> tuple[str, tuple[str, ...]]:
    """Find a column, whatever its name, whose values are password hashes of recognizable kinds."""
    for column in sample.columns:
        values = sample.distinct(column)
        kinds = hash_kinds(values)
        if values and kinds and not set(kinds) & {"unknown", "hex digest", "crypt"}:
            return column, kinds
    return "", ()


def hash_kinds(values: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds of hashes among some values, most frequent first."""
    counts: dict[str, int] = {}
    for value in values:
        kind = next((name for name, pattern in HASHES if pattern.fullmatch(value)), "unknown")
        counts[kind] = counts.get(kind, 0) + 1
    return tuple(sorted(counts, key=lambda kind: -counts[kind]))


def with_password_table(
    catalog: Catalog,
    samples: Mapping[str, Sample],
    users: str,
    columns: UsersColumns,
    references: Sequence[FoundReference],
) -> UsersColumns:
    """Find passwords in a table related to the users, such as the accounts of NextAuth and better-auth."""
    if columns.password:
        return columns
    for each in references:
        table = catalog.table(each.place.table)
        if each.parent != users or table is None or each.when is not None or table.name not in samples:
            continue
        beside = columns_of_users(catalog, table, samples[table.name])
        if beside.password:
            return UsersColumns(
                columns.email, beside.password, table.name, columns.name, columns.role, columns.verified, columns.deleted,
                beside.hash_kinds,
            )  # fmt: skip
    return columns
