"""Users become accounts in auth.users: linked where a verified e-mail says so, made where there is none."""

from __future__ import annotations

from tenantry.manifest import Mapping, Project
from tenantry.manifest.derive import JOURNAL, mapping_key
from tenantry.manifest.ids import id_sql
from tenantry.manifest.transforms import trimmed
from tenantry.plan.model import Step
from tenantry.postgres import ident, literal

_AUTH_LOCK = "ROW EXCLUSIVE on auth.users: sign-ins go on"


def profile_mapping(project: Project) -> Mapping | None:
    users = project.manifest.users
    if users is None:
        return None
    return next((mapping for mapping in project if mapping.profile and mapping.source.name == users.source), None)


def link_accounts(project: Project, after: str) -> list[Step]:
    """Before the copy: users whose normalised e-mail is that of one account that has confirmed it are linked to it."""
    mapping = profile_mapping(project)
    users = project.manifest.users
    if mapping is None or users is None:
        return []
    return [
        Step(
            id="copy.link_accounts",
            phase="copy",
            kind="sql",
            title="Find users who have an account already, by verified e-mail",
            sql=(link_statement(project),),
            undo=(f"delete from {JOURNAL}.account_link",),
            lock="ACCESS SHARE on auth.users",
            risk="low",
            risk_note="Only e-mails that the account's owner has confirmed count.",
            seconds=0.05,
            after=(after,),
        )
    ]


def link_statement(project: Project, *, only: str | None = None) -> str:
    """Link users to the account that has confirmed their e-mail; `only`: a select of the keys of some users."""
    mapping, users = profile_mapping(project), project.manifest.users
    assert mapping is not None
    assert users is not None
    email = f"lower({trimmed(f's.{ident(users.email)}')})"
    some = f"   and {mapping_key(mapping)} in ({only})\n" if only is not None else ""
    return (
        f"insert into {JOURNAL}.account_link (source_key, account_id)\n"
        f"select {mapping_key(mapping)}, u.id\n"
        f"  from {ident(project.source.schema, mapping.source.name)} s\n"
        f"  join auth.users u on lower(u.email) = {email}\n"
        " where u.email_confirmed_at is not null and u.deleted_at is null and not u.is_sso_user and not u.is_anonymous\n"
        f"{some}"
        "on conflict do nothing"
    )


def account_statements(project: Project, *, only: str | None = None) -> tuple[str, ...]:
    """One account for each person who has none; with `only`, a select of the keys of users that have changed, also the accounts
    that were made for them brought in line, and those of people who are gone removed."""
    mapping, users = profile_mapping(project), project.manifest.users
    if mapping is None or users is None:
        return ()
    profiles = ident(project.target.schema, mapping.target.name)
    source = ident(project.source.schema, mapping.source.name)
    account = f"p.{ident(users.account)}"
    email = next((column.name for column in mapping.columns if column.source == users.email), None)
    assert email is not None
    flag = users.super or "false"
    key = mapping_key(mapping)
    people = (
        f"select coalesce(m.into_key, {key}) as owner, bool_or(coalesce({flag}, false)) as super\n"
        f"    from {source} s left join {JOURNAL}.merged m on m.mapping = {literal(mapping.name)} and m.source_key = {key}\n"
        + (f"   where {key} in ({only})\n" if only is not None else "")
        + "   group by 1"
    )
    mine = f"   and p.legacy_id in ({only})\n" if only is not None else ""
    linked = f"exists (select from {JOURNAL}.account_link l where l.account_id = u.id)"
    untouched = "u.email_confirmed_at is null and u.last_sign_in_at is null"
    made = (
        "insert into auth.users (instance_id, id, aud, role, email, encrypted_password, confirmation_token, recovery_token,"
        " email_change_token_new, email_change, email_change_token_current, phone_change, phone_change_token,"
        " reauthentication_token, raw_app_meta_data, raw_user_meta_data, created_at, updated_at, is_sso_user, is_anonymous)\n"
        f"select '00000000-0000-0000-0000-000000000000', {account}, 'authenticated', 'authenticated', p.{ident(email)}, '', '', '',"
        " '', '', '', '', '', '',\n"
        "       jsonb_build_object('provider', 'email', 'providers', jsonb_build_array('email'))\n"
        "         || case when o.super then '{\"super_admin\": true}'::jsonb else '{}' end,\n"
        "       '{}', p.created_at, p.updated_at, false, false\n"
        f"  from {profiles} p\n  join (\n  {people}\n  ) o on o.owner = p.legacy_id\n"
        f" where {account} is not null\n"
        f"{mine}"
        f"   and not exists (select from auth.users u where u.id = {account})"
    )
    identity = (
        "insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, updated_at)\n"
        "select u.id::text, u.id, jsonb_build_object('sub', u.id::text, 'email', u.email, 'email_verified', false,"
        " 'phone_verified', false), 'email', u.created_at, u.updated_at\n"
        f"  from auth.users u join {profiles} p on {account} = u.id\n"
        f" where not {linked}\n"
        f"{mine}"
        "   and not exists (select from auth.identities i where i.user_id = u.id)"
    )
    promoted = (
        f"with people as (\n  {people}\n), flagged as (\n"
        f"  update {JOURNAL}.account_link l set flagged = true from people o, auth.users u\n"
        "   where o.owner = l.source_key and o.super and u.id = l.account_id\n"
        "     and coalesce(u.raw_app_meta_data ->> 'super_admin', '') <> 'true' returning l.account_id\n)\n"
        "update auth.users u set raw_app_meta_data = coalesce(u.raw_app_meta_data, '{}') || '{\"super_admin\": true}'\n"
        "  from flagged f where u.id = f.account_id"
    )
    if only is None:
        return made, identity, promoted
    made_for = id_sql(project.manifest.ids.namespace, f"{mapping.namespace}/account", "k.key")
    gone = (
        f"delete from auth.users u using ({only}) k (key) where u.id = {made_for} and {untouched} and not {linked}\n"
        f"   and not exists (select from {profiles} p where {account} = u.id)"
    )
    wanted = (
        "(u.raw_app_meta_data - 'super_admin') || case when o.super then '{\"super_admin\": true}'::jsonb else '{}' end"
    )
    changed = (
        f"with people as (\n  {people}\n)\n"
        f"update auth.users u set email = p.{ident(email)}, raw_app_meta_data = {wanted}, updated_at = p.updated_at\n"
        f"  from {profiles} p join people o on o.owner = p.legacy_id\n"
        f" where u.id = {account} and {untouched} and not {linked}\n"
        f"   and (u.email is distinct from p.{ident(email)} or u.raw_app_meta_data is distinct from {wanted})"
    )
    named = (
        "update auth.identities i set identity_data = i.identity_data || jsonb_build_object('email', u.email)\n"
        f"  from auth.users u join {profiles} p on {account} = u.id\n"
        f" where i.user_id = u.id and i.provider = 'email' and {untouched} and not {linked}\n{mine}"
        "   and i.identity_data ->> 'email' is distinct from u.email"
    )
    return gone, changed, made, identity, named, promoted


def make_accounts(project: Project, last: dict[str, str]) -> list[Step]:
    """After the profiles: one account for each person who has none, without a password: they reset it or are invited."""
    mapping, users = profile_mapping(project), project.manifest.users
    if mapping is None or users is None:
        return []
    profiles = ident(project.target.schema, mapping.target.name)
    account = f"p.{ident(users.account)}"
    return [
        Step(
            id="copy.accounts",
            phase="copy",
            kind="sql",
            title="Make an account in auth.users for every person who has none",
            sql=account_statements(project),
            undo=(
                f"delete from auth.users u using {profiles} p where {account} = u.id"
                f" and not exists (select from {JOURNAL}.account_link l where l.account_id = u.id)",
                "update auth.users u set raw_app_meta_data = u.raw_app_meta_data - 'super_admin'"
                f" from {JOURNAL}.account_link l where l.account_id = u.id and l.flagged",
            ),
            lock=_AUTH_LOCK,
            risk="medium",
            risk_note="Accounts are made without a password: people reset it, or are invited, before they sign in.",
            seconds=0.05,
            after=(last[mapping.target.name],),
            table=mapping.target.name,
        )
    ]
