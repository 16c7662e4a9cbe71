"""Decides for each user: link to an account, create one, leave unlinked, or reject. One statement decides for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tenantry.accounts.link_file import _UUID, read_link_file
from tenantry.accounts.password_hashes import usable_sql
from tenantry.accounts.situations import situation
from tenantry.derivation.ids import id_sql
from tenantry.derivation.keys import mapping_key
from tenantry.derivation.rows import effective_source
from tenantry.journal.names import JOURNAL
from tenantry.manifest.model import LinkColumn, LinkFile, Users
from tenantry.mapping import Mapping, Project
from tenantry.mapping.transforms.email import LONGEST, PATTERN
from tenantry.mapping.values.texts import folded
from tenantry.postgres import ident, literal

WHOLE_TABLES = "set local enable_nestloop = off"
"""For statements over all users: the joined relations have no statistics, and the planner would expect only a few rows."""


def profile_mapping(project: Project) -> Mapping | None:
    users = project.manifest.users
    if users is None:
        return None
    return next((mapping for mapping in project if mapping.profile and mapping.source.name == users.source), None)


def normal_email(users: Users, alias: str = "s") -> str:
    """Normalize an e-mail address for comparison: trim blanks and lower-case A to Z, and nothing else.

    Dots, tags after a plus sign and letters beyond ASCII make different addresses: treating them as equal would give one
    person's account to another.
    """
    return folded(f"{alias}.{ident(users.email)}")


def link_statement(project: Project, *, only: str | None = None, entries: str = "q.state = 'readmitted'") -> str:
    """Decide for every user, or for users whose keys a select yields; existing links stay.

    Args:
        entries: condition that an entry `q` of the quarantine counts as corrected.
    """
    return (
        f"insert into {JOURNAL}.account_link as l (source_key, account_id, made, situation, detail)\n"
        f"{decisions(project, only=only, entries=entries)}\n"
        "on conflict (source_key) do update\n"
        "   set account_id = excluded.account_id, made = excluded.made, situation = excluded.situation, detail = excluded.detail\n"
        " where (l.made or l.account_id is null)\n"
        "   and (l.account_id, l.made, l.situation, l.detail)\n"
        "       is distinct from (excluded.account_id, excluded.made, excluded.situation, excluded.detail)"
    )


def decisions(
    project: Project, *, only: str | None = None, journal: bool = True, entries: str = "q.state = 'readmitted'"
) -> str:
    """Select (source_key, account_id, made, situation, detail), one row for each user.

    Args:
        only: a select of the keys of some users; None: all users.
        journal: the journal's tables exist, so earlier decisions, created accounts and corrections are known.
        entries: condition that an entry `q` of the quarantine counts as corrected.
    """
    mapping, users = profile_mapping(project), project.manifest.users
    assert mapping is not None
    assert users is not None
    key = mapping_key(mapping)
    derived = id_sql(project.manifest.ids.namespace, f"{mapping.namespace}/account", "s.source_key")
    merges = _merges_by_email(mapping, users)
    source = ident(project.source.schema, mapping.source.name)
    if journal:
        source = effective_source(project, mapping, entries=entries)
    ways = list(_ways(users, journal=journal))
    person = [
        f"{key} as source_key",
        # In the collation of auth.users.email: its index serves no other.
        f'({normal_email(users)}) collate "default" as email',
        f"coalesce(({users.system or 'false'}), false) as is_system",
        f"coalesce(({users.deleted or 'false'}), false) as is_deleted",
        f"{_usable(users)} as has_password",
        *(f"{way.value} as w{number}" for number, way in enumerate(ways) if way.value),
    ]
    joins = [way.join.format(n=number) for number, way in enumerate(ways)]
    if journal:
        joins.append(f"left join {JOURNAL}.account_made k on k.account_id = d.derived")
    ours = "k.account_id is not null" if journal else "false"
    ids = [way.found.format(n=number) for number, way in enumerate(ways)]
    names = "".join(f" when {found} is not null then {literal(way.name)}" for found, way in zip(ids, ways, strict=True))
    banned = "coalesce(b.banned_until > now(), false)"
    # If several users find one account, the owner of its address wins, then the first by key. Users with the same address
    # count as one person if the manifest merges them.
    same = "and n.first_email is distinct from n.email" if merges else ""
    where = f"\n   where {key} in ({only})" if only is not None else ""
    shared = (
        ""
        if merges
        else f"    when n.otherwise and exists (select from {source} s where {normal_email(users)} = n.email and {key} < n.source_key)"
        " then 'email_shared'\n"
    )
    return (
        f"with person as materialized (\n  select {', '.join(person)}\n    from {source} s{where}\n), found as (\n"
        "  select s.*, o.id as same_id, o.same_email, x.id as by_email, x.state,\n"
        f"         coalesce({', '.join(ids) or 'null::uuid'}) as account_id, case{names or ' when false then null'} end as way,\n"
        f"         {ours} as ours, d.derived\n"
        "    from person s\n"
        f"    cross join lateral (select {derived} as derived) d\n"
        f"    {' '.join(joins)}\n"
        "    left join lateral (\n"
        "      select e.id, case when e.deleted_at is not null then 'account_deleted' else 'account_unconfirmed' end as state\n"
        "        from auth.users e\n"
        "       where e.email = s.email and not e.is_sso_user\n"
        "         and (e.deleted_at is not null or e.email_confirmed_at is null or e.is_anonymous)\n"
        f"         and {_not_ours('e', journal=journal)} limit 1) x on true\n"
        "    left join lateral (\n"
        "      select e.id, lower(e.email) = s.email as same_email from auth.users e where e.id = d.derived) o on true\n"
        "), named as (\n"
        "  select f.*, case when f.account_id is not null then b.id when not f.ours and f.same_email then f.same_id end as chosen,\n"
        f"         {banned} as banned,\n"
        "         first_value(f.email) over (partition by f.account_id order by f.email is distinct from lower(b.email), f.source_key)"
        " as first_email,\n"
        "         row_number() over (partition by f.account_id order by f.email is distinct from lower(b.email), f.source_key)"
        " as place,\n"
        "         f.account_id is null as otherwise\n"
        "    from found f left join auth.users b on b.id = coalesce(f.account_id, case when not f.ours and f.same_email then f.same_id end)\n"
        "), said as materialized (\n"
        "  select n.*, case\n"
        "    when n.is_system then 'system'\n"
        f"    when n.is_deleted and {_flag(users.if_deleted == 'leave')} then 'deleted'\n"
        f"    when n.account_id is not null and n.place > 1 {same} then 'account_taken'\n"
        f"{_taken_before(mapping, users, project) if journal else ''}"
        f"    when n.chosen is not null and n.banned and {_flag(users.if_banned == 'link')} then 'linked_banned'\n"
        "    when n.chosen is not null and n.banned then 'account_banned'\n"
        "    when n.account_id is not null then n.way\n"
        "    when n.chosen is not null then 'linked_by_id'\n"
        "    when n.same_id is not null and not n.ours then 'id_taken'\n"
        "    when n.by_email is not null and n.by_email <> n.derived then n.state\n"
        "    when coalesce(n.email, '') = '' then 'email_missing'\n"
        f"    when octet_length(n.email) > {LONGEST} or n.email !~ '{PATTERN}' then 'email_invalid'\n"
        f"{shared}"
        "    when n.is_deleted then 'created_banned'\n"
        f"    else {_otherwise(users)} end as situation\n"
        "    from named n\n"
        ")\n"
        "select s.source_key,\n"
        "       case when s.situation like 'linked%' then s.chosen\n"
        "            when s.situation like 'created%' or s.situation = 'to_invite' then s.derived end as account_id,\n"
        "       s.situation like 'created%' or s.situation = 'to_invite' as made, s.situation,\n"
        f"       {_detail(ways)} as detail\n"
        "  from said s"
    )


def _not_ours(alias: str, *, journal: bool) -> str:
    """Condition: the account existed before. One that was created for another key of the same person is no evidence."""
    return f"not exists (select from {JOURNAL}.account_made z where z.account_id = {alias}.id)" if journal else "true"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _otherwise(users: Users) -> str:
    """Return the situation of a user who has no account and could get one."""
    plain = {"create": "created", "invite": "to_invite", "leave": "left"}[users.otherwise]
    if users.otherwise != "create" or users.password is None:
        return literal(plain)
    lost = {"reset": "created", "invite": "to_invite", "leave": "left_without_password"}[users.unusable]
    return f"case when n.has_password then 'created_with_password' else {literal(lost)} end"


def _usable(users: Users) -> str:
    return usable_sql(f"s.{ident(users.password)}::text") if users.password is not None else "false"


def _merges_by_email(mapping: Mapping, users: Users) -> bool:
    """Whether users with the same address become one profile."""
    column = next((column.name for column in mapping.columns if column.source == users.email), None)
    return mapping.merge is not None and mapping.merge.by == (column,)


def _taken_before(mapping: Mapping, users: Users, project: Project) -> str:
    """Condition: a user outside this statement has the account, and is not a duplicate of the same person."""
    source = ident(project.source.schema, mapping.source.name)
    unless = ""
    if _merges_by_email(mapping, users):
        unless = (
            f" and not exists (select from {source} s where {mapping_key(mapping)} = g.source_key"
            f" and {normal_email(users)} = n.email)"
        )
    return (
        f"    when n.chosen is not null and exists (select from {JOURNAL}.account_link g\n"
        "                   where g.account_id = n.chosen and g.source_key <> n.source_key and not g.made\n"
        f"                     and not exists (select from person p where p.source_key = g.source_key){unless}) then 'account_taken'\n"
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to find an account: {n} is its position."""

    name: str
    join: str
    found: str
    value: str = ""
    wrong: str = ""
    """The situation if the user names an account this way and no such account exists."""


def _ways(users: Users, *, journal: bool) -> Iterator[_Way]:
    for way in users.link:
        if isinstance(way, LinkColumn):
            value = f"lower(btrim(s.{ident(way.column)}::text))"
            yield _Way(
                "linked_by_column",
                f"left join auth.users a{{n}} on a{{n}}.id = case when s.w{{n}} ~ '{_UUID.replace('{', '{{').replace('}', '}}')}'"
                " then s.w{n}::uuid end and a{n}.deleted_at is null",
                "a{n}.id",
                value,
                f"{way.column} names no account",
            )
        elif isinstance(way, LinkFile):
            if journal:
                yield _Way(
                    "linked_by_file",
                    f"left join {JOURNAL}.account_file f{{n}} on f{{n}}.source_key = s.source_key"
                    " left join auth.users a{n} on a{n}.id = f{n}.account_id and a{n}.deleted_at is null",
                    "a{n}.id",
                )
        else:
            # Addresses in auth.users are in lower case and unique, except those of single sign-on.
            yield _Way(
                "linked_by_email",
                "left join auth.users a{n} on a{n}.email = s.email and a{n}.email_confirmed_at is not null"
                " and a{n}.deleted_at is null and not a{n}.is_sso_user and not a{n}.is_anonymous"
                f" and {_not_ours('a{n}', journal=journal)}",
                "a{n}.id",
            )


def _detail(ways: list[_Way]) -> str:
    said = [
        f"when s.account_id is null and coalesce(s.w{number}, '') <> '' then {literal(way.wrong)}"
        for number, way in enumerate(ways)
        if way.wrong
    ]
    return f"case {' '.join(said)} end" if said else "null::text"


def refusals(users: Users) -> Iterator[str]:
    """Yield statements that fail with an explanation in situations for which the manifest allows no automatic decision."""
    asked = {
        "account_unconfirmed": ("if_unconfirmed", users.if_unconfirmed),
        "account_banned": ("if_banned", users.if_banned),
        "account_taken": ("if_taken", users.if_taken),
    }
    for name, (key, said) in asked.items():
        if said == "refuse":
            yield (
                "do $$\ndeclare\n    found text;\nbegin\n"
                "    select count(*) || ' users (' || string_agg(source_key, ', ' order by source_key)"
                " filter (where place <= 5) || case when count(*) > 5 then ', …' else '' end || ')' into found\n"
                "      from (select source_key, row_number() over (order by source_key) as place\n"
                f"              from {JOURNAL}.account_link where situation = {literal(name)}) as l having count(*) > 0;\n"
                "    if found is not null then\n"
                f"        raise exception 'Of [users], {key} = \"refuse\": % {situation(name).title}.', found\n"
                f"            using hint = 'Fix these accounts, or decide in the manifest: {key} = \"leave\".';\n"
                "    end if;\nend\n$$"
            )


def link_file_statements(project: Project) -> Iterator[str]:
    users = project.manifest.users
    assert users is not None
    for way in users.link:
        if isinstance(way, LinkFile):
            pairs = read_link_file(project.manifest.folder / way.file)
            olds = ", ".join(literal(old) for old, _ in pairs)
            accounts = ", ".join(literal(str(account)) for _, account in pairs)
            yield f"delete from {JOURNAL}.account_file"
            yield (
                f"insert into {JOURNAL}.account_file (source_key, account_id)\n"
                f"select * from unnest(array[{olds}]::text[], array[{accounts}]::uuid[])"
            )
