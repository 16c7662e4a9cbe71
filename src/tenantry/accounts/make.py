"""Statements that create accounts in auth.users and auth.identities according to the decisions."""

from __future__ import annotations

from tenantry.accounts.decide import WHOLE_TABLES, profile_mapping
from tenantry.derivation.ids import id_sql
from tenantry.derivation.keys import mapping_key
from tenantry.derivation.rows import effective_source
from tenantry.journal.names import JOURNAL
from tenantry.manifest.model import Users
from tenantry.mapping import Mapping, Project
from tenantry.postgres import ident, literal

_BETWEEN = "between.invalid"
"""Placeholder for an address that passes from one account to another within one transaction."""


FOREVER = "2999-12-31 00:00:00+00"
"""End of the ban on a deleted user's account: far in the future, and readable by every client (which 'infinity' is not)."""


def account_statements(project: Project, *, only: str | None = None) -> tuple[str, ...]:
    """Return the statements that create the accounts. With `only`, a select of the keys of changed users, they also update
    the accounts created for these users, and remove accounts of deleted users."""
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
        return f"analyze {profiles}", WHOLE_TABLES, made, identity, promoted
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
    # An account keeps an address that its owner uses, even if the source has none of it: the address is not reassigned, and
    # the user who should get it keeps their own.
    held = "o.email = {0} and o.id <> u.id and not o.is_sso_user"
    free = f"case when exists (select from auth.users o where {held.format(mail)}) then u.email else {mail} end"
    wanted = f"{free}, {admin}, {hashed}, {confirmed}"
    # Addresses are unique row by row, also within a statement: one that changes accounts is released first.
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
    """Add to a table of keys the users whose accounts hold an address that one of the listed users should get."""
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
    """Return the password's hash unchanged; the decision already checked whether it can be kept."""
    return "null::text" if users.password is None else f"s.{ident(users.password)}::text"


def _metadata(users: Users) -> str:
    if users.metadata is None:
        return "'{}'::jsonb"
    return f"coalesce((array_agg(({users.metadata}) order by m.into_key nulls first))[1], '{{}}'::jsonb)"


def _time(mapping: Mapping, name: str) -> str:
    """Return a timestamp of the profile if it has such a column."""
    column = mapping.target.column(name)
    return f"p.{ident(name)}" if column is not None and column.type.startswith("timestamp") else "now()"
