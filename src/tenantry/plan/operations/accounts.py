"""Users become accounts in auth.users: what is decided for each of them, and the accounts that are made.

One statement decides for every user, in the order of `situations`: who is linked to an account that is there already, for whom one is
made, who is left without, and why. It is kept in tenantry.account_link, where the copy, the replay and the report read it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from tenantry.accounts.password_hashes import usable_sql
from tenantry.derivation.forward import effective_source
from tenantry.derivation.ids import id_sql
from tenantry.derivation.keys import mapping_key
from tenantry.errors import TenantryError
from tenantry.journal.names import JOURNAL
from tenantry.manifest.model import LinkColumn, LinkFile, Users
from tenantry.mapping import Mapping, Project
from tenantry.mapping.transforms import EMAIL_LENGTH, EMAIL_PATTERN, folded
from tenantry.plan.model import Step
from tenantry.postgres import ident, literal

LINK_ACCOUNTS, MAKE_ACCOUNTS = "copy.link_accounts", "copy.accounts"
_AUTH_LOCK = "ROW EXCLUSIVE on auth.users: sign-ins go on"
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_BETWEEN = "between.invalid"
"""Where an address is while it passes from one account to another, within one transaction."""

FOREVER = "2999-12-31 00:00:00+00"
"""Until when the account of a deleted user is banned: far away, and a time that every client can read ('infinity' is not)."""


_WHOLE = "set local enable_nestloop = off"
"""For statements over all users: what they join has no statistics, and is taken for a few rows."""


class LinkFileWrong(TenantryError):
    """The file of users and their accounts cannot be used."""

    code: ClassVar[str] = "TN-310"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a user was found in, and what is done about it.

    Attributes:
        fate: linked, made, or left without an account.
        does: what an administrator has to do, if anything.
    """

    name: str
    fate: str
    title: str
    does: str = ""


SITUATIONS: tuple[Situation, ...] = (
    Situation("system", "left", "is no person, by the manifest"),
    Situation("deleted", "left", "is deleted in the old application"),
    Situation("linked_by_column", "linked", "linked to the account that the old row names"),
    Situation("linked_by_file", "linked", "linked to the account that the file names"),
    Situation("linked_by_email", "linked", "linked to the account that has confirmed this e-mail address"),
    Situation("linked_by_id", "linked", "linked to the account with the same id and the same e-mail address"),
    Situation("linked_banned", "linked", "linked to an account that is banned, and stays so",
              "Lift the ban where it is not meant."),
    Situation("account_banned", "left", "has an account that is banned", "Decide whether the ban still holds."),
    Situation("account_taken", "left", "names an account that is another person's", "Find out whose account it is."),
    Situation("account_deleted", "left", "has an account that is deleted, and holds the e-mail address",
              "Restore the account, or free its address."),
    Situation("account_unconfirmed", "left", "has an account that has not confirmed its e-mail address",
              "Nothing: it is linked as soon as the address is confirmed. Remind the person."),
    Situation("id_taken", "left", "has an old id that is the id of somebody else's account", "Find out whose account it is."),
    Situation("email_missing", "left", "has no e-mail address", "Find the address, or leave the person without an account."),
    Situation("email_invalid", "left", "has an e-mail address that is none", "Correct the address."),
    Situation("email_shared", "left", "has the e-mail address of another user, who got the account",
              "Give one of them an address of their own, or let the manifest merge them."),
    Situation("created_with_password", "made", "an account was made, with the old password"),
    Situation("created", "made", "an account was made, without a password", "Let the person reset the password."),
    Situation("created_banned", "made", "an account was made and banned, since the user is deleted"),
    Situation("to_invite", "made", "an account was made; an invitation is to be sent", "Send the invitation."),
    Situation("left", "left", "is linked when signing up and confirming the e-mail address"),
    Situation("left_without_password", "left", "has a password that cannot be kept; is linked when signing up",
              "Tell the person to sign up again."),
)  # fmt: skip
"""Every situation, in the order in which the first that holds is taken."""


def situation(name: str) -> Situation:
    return next(each for each in SITUATIONS if each.name == name)


def profile_mapping(project: Project) -> Mapping | None:
    users = project.manifest.users
    if users is None:
        return None
    return next((mapping for mapping in project if mapping.profile and mapping.source.name == users.source), None)


def normal_email(users: Users, alias: str = "s") -> str:
    """An e-mail address as addresses are compared: blanks around it gone, A to Z in lower case, and nothing else.

    Dots, tags behind a plus sign and letters beyond ASCII make different addresses: who treats them alike gives one person's
    account to another.
    """
    return folded(f"{alias}.{ident(users.email)}")


# -- deciding ----------------------------------------------------------------------------------------------------------


def link_accounts(project: Project, after: str) -> list[Step]:
    """Before the copy: what becomes of each user."""
    mapping, users = profile_mapping(project), project.manifest.users
    if mapping is None or users is None:
        return []
    return [
        Step(
            id=LINK_ACCOUNTS,
            phase="copy",
            kind="sql",
            title="Decide for every user: link an account that is there, make one, or leave the user without",
            sql=(
                *_file_statements(project),
                _WHOLE,
                link_statement(project),
                f"analyze {JOURNAL}.account_link",
                *_refusals(users),
            ),
            undo=(f"delete from {JOURNAL}.account_link", f"delete from {JOURNAL}.account_file"),
            lock="ACCESS SHARE on auth.users",
            risk="low",
            risk_note="Only e-mails that the account's owner has confirmed count.",
            seconds=0.05,
            after=(after,),
            outside=True,
        )
    ]


def link_statement(project: Project, *, only: str | None = None, entries: str = "q.state = 'readmitted'") -> str:
    """Decide for every user, or for those that a select of keys names; who is linked already stays linked.

    Args:
        entries: which of the quarantine's entries `q` count as mended.
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
    """A select of (source_key, account_id, made, situation, detail), one row for each user.

    Args:
        only: a select of the keys of some users.
        journal: the journal's tables are there, so that what was decided, made and mended before is known.
        entries: which of the quarantine's entries `q` count as mended.
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
        # By the collation of auth.users.email, whose index serves no other.
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
    # One who has been found by several users: the one whose address it is, then the first by key. Users of one address are one
    # person where the manifest merges them.
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
        f"    when octet_length(n.email) > {EMAIL_LENGTH} or n.email !~ '{EMAIL_PATTERN}' then 'email_invalid'\n"
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
    """The account was there before: one that was made for another key of the same person is nobody's evidence."""
    return f"not exists (select from {JOURNAL}.account_made z where z.account_id = {alias}.id)" if journal else "true"


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _otherwise(users: Users) -> str:
    """The situation of somebody who has no account and could get one."""
    plain = {"create": "created", "invite": "to_invite", "leave": "left"}[users.otherwise]
    if users.otherwise != "create" or users.password is None:
        return literal(plain)
    lost = {"reset": "created", "invite": "to_invite", "leave": "left_without_password"}[users.unusable]
    return f"case when n.has_password then 'created_with_password' else {literal(lost)} end"


def _usable(users: Users) -> str:
    return usable_sql(f"s.{ident(users.password)}::text") if users.password is not None else "false"


def _merges_by_email(mapping: Mapping, users: Users) -> bool:
    """Users of one address become one profile."""
    column = next((column.name for column in mapping.columns if column.source == users.email), None)
    return mapping.merge is not None and mapping.merge.by == (column,)


def _taken_before(mapping: Mapping, users: Users, project: Project) -> str:
    """The account was given to a user that is not looked at now, and is no other spelling of the same person."""
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
    """A way to find an account: {n} is its place."""

    name: str
    join: str
    found: str
    value: str = ""
    wrong: str = ""
    """Said where the user names an account by this way, and it is none."""


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
            # Addresses are in lower case in auth.users, and unique there but for those of single sign-on.
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


def _refusals(users: Users) -> Iterator[str]:
    """Statements that fail, and say why, where the manifest wants no decision to be taken by itself."""
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
                f"            using hint = 'Mend these accounts, or decide in the manifest: {key} = \"leave\".';\n"
                "    end if;\nend\n$$"
            )


# -- the file ----------------------------------------------------------------------------------------------------------


def _file_statements(project: Project) -> Iterator[str]:
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


def read_link_file(path: Path) -> list[tuple[str, UUID]]:
    """Old id and account id of each line of a CSV file with a header: the first two columns, whatever they are called.

    Raises:
        LinkFileWrong: the file cannot be read, or a line is wrong; it names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            header = next(rows, None)
            if header is None or len(header) < 2:
                raise LinkFileWrong(
                    f"{path} has no header with two columns.",
                    hint="Write a first line as old_id,account_id, then one line for each user.",
                )
            found: dict[str, UUID] = {}
            for row in rows:
                if not row:
                    continue
                old, account = _pair(path, rows.line_num, row)
                if old in found and found[old] != account:
                    raise LinkFileWrong(
                        f"{path}, line {rows.line_num}: {old} has an account already, further up.",
                        hint="Name each user once.",
                    )
                found[old] = account
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LinkFileWrong(
            f"{path} cannot be read: {error}.", hint="[users] link names it, beside the manifest."
        ) from None
    return list(found.items())


def _pair(path: Path, line: int, row: list[str]) -> tuple[str, UUID]:
    hint = "Each line holds the user's old id and the account's id, a uuid."
    if len(row) < 2 or not row[0]:
        raise LinkFileWrong(f"{path}, line {line}: an old id or an account is missing.", hint=hint)
    try:
        return row[0], UUID(row[1].strip())
    except ValueError:
        raise LinkFileWrong(f"{path}, line {line}: {row[1]!r} is no uuid.", hint=hint) from None


# -- making ------------------------------------------------------------------------------------------------------------


def account_statements(project: Project, *, only: str | None = None) -> tuple[str, ...]:
    """The accounts that were decided on; with `only`, a select of the keys of users that have changed, also the accounts that
    were made for them are brought in line, and those of people who are gone are removed."""
    mapping, users = profile_mapping(project), project.manifest.users
    if mapping is None or users is None:
        return ()
    profiles = ident(project.target.schema, mapping.target.name)
    source = effective_source(project, mapping)
    account = f"p.{ident(users.account)}"
    email = next((column.name for column in mapping.columns if column.source == users.email), None)
    assert email is not None
    key = mapping_key(mapping)
    mail = f"lower(p.{ident(email)}::text)"
    people = (
        f"select coalesce(m.into_key, {key}) as owner, bool_or(coalesce(({users.super or 'false'}), false)) as super,\n"
        f"         bool_or({key} = coalesce(m.into_key, {key}) and coalesce(({users.verified or 'false'}), false)) as verified,\n"
        f"         max({_hash(users)}) filter (where m.into_key is null) as hash,\n"
        f"         {_metadata(users)} as metadata\n"
        f"    from {source} s left join {JOURNAL}.merged m on m.mapping = {literal(mapping.name)} and m.source_key = {key}\n"
        + (f"   where {key} in ({only})\n" if only is not None else "")
        + "   group by 1"
    )
    mine = f"   and p.legacy_id in ({only})\n" if only is not None else ""
    made_by_us = f"exists (select from {JOURNAL}.account_made a where a.account_id = u.id)"
    untouched = "u.last_sign_in_at is null and u.confirmation_sent_at is null and u.recovery_sent_at is null"
    born = _time(mapping, "created_at")
    confirmed = f"case when o.verified then {born} end"
    app = (
        "jsonb_build_object('provider', 'email', 'providers', jsonb_build_array('email'))\n"
        "         || case when o.super then '{\"super_admin\": true}'::jsonb else '{}' end"
    )
    theirs = "o.metadata || case when o.verified then '{\"email_verified\": true}'::jsonb else '{}' end"
    made = (
        f"with people as materialized (\n  {people}\n), made as (\n"
        "insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, banned_until,"
        " confirmation_token, recovery_token, email_change_token_new, email_change, email_change_token_current, phone_change,"
        " phone_change_token, reauthentication_token, raw_app_meta_data, raw_user_meta_data, created_at, updated_at,"
        " is_sso_user, is_anonymous)\n"
        f"select '00000000-0000-0000-0000-000000000000', {account}, 'authenticated', 'authenticated', {mail},"
        f" case when l.situation = 'created_with_password' then coalesce(o.hash, '') else '' end, {confirmed},\n"
        f"       case when l.situation = 'created_banned' then timestamptz '{FOREVER}' end, '', '', '', '', '', '', '', '',\n"
        f"       {app},\n       {theirs}, {born}, {_time(mapping, 'updated_at')}, false, false\n"
        f"  from {profiles} p\n  join people o on o.owner = p.legacy_id\n"
        f"  join {JOURNAL}.account_link l on l.source_key = p.legacy_id and l.made and l.account_id = {account}\n"
        f" where true\n{mine}"
        f"   and not exists (select from auth.users u where u.id = {account})\n"
        f"returning id\n)\ninsert into {JOURNAL}.account_made (account_id) select id from made on conflict do nothing"
    )
    identity = (
        "insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, updated_at)\n"
        "select u.id::text, u.id, jsonb_build_object('sub', u.id::text, 'email', u.email, 'email_verified',"
        " u.email_confirmed_at is not null, 'phone_verified', false), 'email', u.created_at, u.updated_at\n"
        f"  from auth.users u join {profiles} p on {account} = u.id\n"
        f" where {made_by_us}\n{mine}"
        "   and not exists (select from auth.identities i where i.user_id = u.id)"
    )
    promoted = (
        f"with people as materialized (\n  {people}\n), flagged as (\n"
        f"  update {JOURNAL}.account_link l set flagged = true, before = u.raw_app_meta_data from people o, auth.users u\n"
        "   where o.owner = l.source_key and o.super and u.id = l.account_id and not l.made and not l.flagged\n"
        "     and coalesce(u.raw_app_meta_data ->> 'super_admin', '') <> 'true' returning l.account_id\n)\n"
        "update auth.users u set raw_app_meta_data = coalesce(u.raw_app_meta_data, '{}') || '{\"super_admin\": true}'\n"
        "  from flagged f where u.id = f.account_id"
    )
    if only is None:
        return f"analyze {profiles}", _WHOLE, made, identity, promoted
    made_for = id_sql(project.manifest.ids.namespace, f"{mapping.namespace}/account", "k.key")
    forgotten = (
        f"delete from {JOURNAL}.account_link l using ({only}) k (key) where l.source_key = k.key\n"
        f"   and not exists (select from {source} s where {key} = k.key)"
    )
    gone = (
        f"delete from auth.users u using ({only}) k (key) where u.id = {made_for} and {untouched}\n"
        f"   and {made_by_us}\n"
        f"   and not exists (select from {profiles} p where {account} = u.id)"
    )
    hashed = "case when l.situation = 'created_with_password' then coalesce(o.hash, '') else '' end"
    admin = (
        "(u.raw_app_meta_data - 'super_admin') || case when o.super then '{\"super_admin\": true}'::jsonb else '{}' end"
    )
    # An address that an account keeps which is none of these, as one that its owner has used, is not taken from it: who is to
    # have it keeps the one that they have.
    held = "o.email = {0} and o.id <> u.id and not o.is_sso_user"
    free = f"case when exists (select from auth.users o where {held.format(mail)}) then u.email else {mail} end"
    wanted = f"{free}, {admin}, {hashed}, {confirmed}"
    # Addresses are unique row by row, within a statement too: what passes from one to another is laid down first.
    moving = (
        f"select u.id, u.email as had, {mail} as wants from {profiles} p\n"
        f"  join {JOURNAL}.account_link l on l.source_key = p.legacy_id and l.made\n"
        f"  join auth.users u on u.id = {account} and {untouched}\n"
        f" where p.legacy_id in ({only}) and u.email is distinct from {mail}"
    )
    parked = (
        f"with recursive moving as materialized (\n{moving}\n), held (id, had) as (\n"
        "  select m.id, m.had from moving m where exists (select from auth.users o where o.email = m.wants"
        " and not o.is_sso_user and not exists (select from moving x where x.id = o.id))\n"
        "  union select m.id, m.had from moving m join held h on h.had = m.wants\n"
        "), passing as (select * from moving m where not exists (select from held h where h.id = m.id))\n"
        f"update auth.users u set email = u.id || '@{_BETWEEN}' from passing m\n"
        " where u.id = m.id and exists (select from passing x where x.wants = m.had)"
    )
    changed = (
        f"with people as materialized (\n  {people}\n)\n"
        "update auth.users u set (email, raw_app_meta_data, encrypted_password, email_confirmed_at) ="
        f" ({wanted}), updated_at = {_time(mapping, 'updated_at')}\n"
        f"  from {profiles} p join people o on o.owner = p.legacy_id\n"
        f"  join {JOURNAL}.account_link l on l.source_key = p.legacy_id and l.made\n"
        f" where u.id = {account} and {untouched}\n"
        f"   and (u.email, u.raw_app_meta_data, u.encrypted_password, u.email_confirmed_at) is distinct from ({wanted})"
    )
    named = (
        "update auth.identities i set identity_data = i.identity_data || jsonb_build_object('email', u.email,"
        " 'email_verified', u.email_confirmed_at is not null)\n"
        f"  from auth.users u join {profiles} p on {account} = u.id\n"
        f" where i.user_id = u.id and i.provider = 'email' and {untouched} and {made_by_us}\n{mine}"
        "   and (i.identity_data ->> 'email', i.identity_data -> 'email_verified')"
        " is distinct from (u.email::text, to_jsonb(u.email_confirmed_at is not null))"
    )
    return forgotten, gone, parked, changed, made, identity, named, promoted


def account_keys(project: Project, into: str) -> str:
    """Adds to a table of keys those of people whose accounts have an address that the account of one of these is to have."""
    mapping, users = profile_mapping(project), project.manifest.users
    assert mapping is not None
    assert users is not None
    email = next(column.name for column in mapping.columns if column.source == users.email)
    return (
        f"insert into {into} select l.source_key from {into} k\n"
        f"  join {ident(project.target.schema, mapping.target.name)} p on p.legacy_id = k.key\n"
        f"  join auth.users u on u.email = lower(p.{ident(email)}::text)\n"
        f"  join {JOURNAL}.account_link l on l.account_id = u.id and l.made\n"
        " where l.source_key <> k.key on conflict do nothing"
    )


def _hash(users: Users) -> str:
    """As it stands; whether it can be kept was decided."""
    return "null::text" if users.password is None else f"s.{ident(users.password)}::text"


def _metadata(users: Users) -> str:
    if users.metadata is None:
        return "'{}'::jsonb"
    return f"coalesce((array_agg(({users.metadata}) order by m.into_key nulls first))[1], '{{}}'::jsonb)"


def _time(mapping: Mapping, name: str) -> str:
    """A time of the profile, where it has such a column."""
    column = mapping.target.column(name)
    return f"p.{ident(name)}" if column is not None and column.type.startswith("timestamp") else "now()"


def make_accounts(project: Project, last: dict[str, str]) -> list[Step]:
    """After the profiles: the accounts that were decided on."""
    mapping, users = profile_mapping(project), project.manifest.users
    if mapping is None or users is None:
        return []
    return [
        Step(
            id=MAKE_ACCOUNTS,
            phase="copy",
            kind="sql",
            title="Make an account in auth.users for every person who is to have one",
            sql=account_statements(project),
            undo=(
                f"delete from auth.users u using {JOURNAL}.account_made a where a.account_id = u.id",
                f"delete from {JOURNAL}.account_made",
                "update auth.users u set raw_app_meta_data = case\n"
                "         when l.before is null and u.raw_app_meta_data = '{\"super_admin\": true}' then null\n"
                "         when l.before ? 'super_admin' then u.raw_app_meta_data"
                " || jsonb_build_object('super_admin', l.before -> 'super_admin')\n"
                "         else u.raw_app_meta_data - 'super_admin' end\n"
                f"  from {JOURNAL}.account_link l where l.account_id = u.id and l.flagged",
            ),
            lock=_AUTH_LOCK,
            risk="medium",
            risk_note="Where no password can be kept, people reset it, or are invited, before they sign in.",
            seconds=0.05,
            after=(last[mapping.target.name],),
            table=mapping.target.name,
            outside=True,
        )
    ]


__all__ = [
    "FOREVER",
    "LINK_ACCOUNTS",
    "MAKE_ACCOUNTS",
    "SITUATIONS",
    "LinkFileWrong",
    "Situation",
    "account_keys",
    "account_statements",
    "decisions",
    "link_accounts",
    "link_statement",
    "make_accounts",
    "normal_email",
    "profile_mapping",
    "read_link_file",
    "situation",
]
