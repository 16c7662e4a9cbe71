"""Mutations of Clinic's access: each is one mistake that a person could make in its policies, grants, functions or triggers."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Database

Mutate = Callable[[Database], None]


def sql(*statements: str) -> Mutate:
    """Statements, as a superuser."""

    def mutate(database: Database) -> None:
        with database.connect() as admin:
            for statement in statements:
                admin.execute(statement.encode())

    return mutate


def every(query: str) -> Mutate:
    """All statements that a query writes; at least one, or the mutation would be none."""

    def mutate(database: Database) -> None:
        with database.connect() as admin:
            statements = [str(text) for (text,) in admin.execute(query.encode()).fetchall()]
            assert statements, query
            for statement in statements:
                admin.execute(statement.encode())

    return mutate


def edit(function: str, *pairs: tuple[str, str]) -> Mutate:
    """A function with other text in its body."""

    def mutate(database: Database) -> None:
        with database.connect() as admin:
            row = admin.execute("select pg_get_functiondef(%s::regprocedure)", [function]).fetchone()
            assert row is not None
            text = str(row[0])
            for old, new in pairs:
                assert old in text, f"{function} has no {old}: {text}"
                text = text.replace(old, new)
            admin.execute(text.encode())

    return mutate


def of(role: str, column: str = "clinic_id") -> str:
    """A condition of Clinic's policies: the row's tenant is one of those in which the caller has at least the role."""
    return f"{column} = any ((select tenantry.tenants('{role}'))::uuid[])"


MUTATIONS: dict[str, Mutate] = {
    "tenants_ignores_is_active": edit("tenantry.tenants(text)", ("and (is_active)", "")),
    "tenants_ignores_status": edit("tenantry.tenants(text)", ("where (status = 'active')", "where true")),
    "tenants_ignores_role": edit("tenantry.tenants(text)", ("= any (context.enough)", "= any (context.roles)")),
    "shared_ignores_accepted": edit("tenantry.shared(text)", (" and (accepted_at is not null)", "")),
    "shared_ignores_until": edit("tenantry.shared(text)", ("and (until is null or until > clock_timestamp())", "")),
    "shared_financials_viewer": edit(
        "tenantry.shared(text)", ("tenantry.tenants('staff')", "tenantry.tenants('viewer')")
    ),
    "shared_giver_inactive": edit("tenantry.shared(text)", ("where (status = 'active')", "where true")),
    "shared_since_ignored": edit("tenantry.shared(text)", ("since <= clock_timestamp() and ", "")),
    "shared_kind_mixed": edit("tenantry.shared(text)", ("kind = 'goals'", "kind in ('goals','metrics')")),
    "colleagues_of_any_role": edit(
        "tenantry.colleagues(text)", ("tenantry.tenants(at_least)", "tenantry.tenants('viewer')")
    ),
    "profile_id_banned": edit(
        "tenantry.profile_id()", ("and (a.banned_until is null or a.banned_until <= clock_timestamp())", "")
    ),
    "is_super_deleted": edit("tenantry.is_super()", ("a.deleted_at is null and a.forgotten_at is null and ", "")),
    "is_super_user_metadata": edit(
        "tenantry.mirror_account()", ("new.raw_app_meta_data ->>", "new.raw_user_meta_data ->>")
    ),
    "mirror_trigger_off": sql("alter table auth.users disable trigger tenantry_mirror_account"),
    "in_step_trigger_off": sql("alter table auth.users disable trigger tenantry_in_step_changed"),
    "invitation_insert_staff": sql(
        "grant insert (clinic_id, email, role, token_hash) on clinic.clinic_invitations to authenticated",
        "create policy insert_staff on clinic.clinic_invitations for insert to authenticated"
        f" with check ({of('staff')})",
    ),
    "shares_update_accepted": sql("grant update (accepted_at) on clinic.clinic_shares to authenticated"),
    "shares_update_kind": sql("grant update (kind) on clinic.clinic_shares to authenticated"),
    "shares_update_to": sql("grant update (receiving_clinic_id) on clinic.clinic_shares to authenticated"),
    "shares_name_any_tenant": sql(
        f"alter policy insert_clinic_admin on clinic.clinic_shares with check ({of('clinic_admin')})"
    ),
    "shares_default_accepted": sql("alter table clinic.clinic_shares alter column accepted_at set default now()"),
    "profile_email": sql("grant update (email) on clinic.profiles to authenticated"),
    "profile_account": sql("grant update (auth_user_id) on clinic.profiles to authenticated"),
    "accept_untrusted": edit(
        "tenantry.follow_account(uuid)",
        ("u.email_confirmed_at is not null and not u.is_anonymous and not u.is_sso_user", "not u.is_anonymous"),
    ),
    "grant_forget": sql("grant execute on function tenantry.forget_person(uuid, boolean) to authenticated"),
    "grant_accept": sql("grant execute on function tenantry.accept_invitations(uuid, text) to authenticated"),
    "grant_change_email": sql("grant execute on function tenantry.change_email(uuid, text, boolean) to authenticated"),
    "stamps_off": sql("alter table clinic.goals disable trigger set_audit_columns"),
    "export_jobs_any_person": sql(
        "drop policy insert_own_staff on clinic.export_jobs",
        f"create policy insert_own_staff on clinic.export_jobs for insert to authenticated with check ({of('staff')})",
    ),
    "token_hash": sql("grant select (token_hash) on clinic.clinic_invitations to authenticated"),
    "widgets_no_pair": sql(
        "drop policy select_own_dashboards_viewer on clinic.widgets",
        "create policy select_own_dashboards_viewer on clinic.widgets for select to authenticated"
        f" using ({of('viewer')}"
        " and dashboard_id = any (array(select id from clinic.dashboards)))",
    ),
    "member_insert_own_viewer": sql(
        "grant insert (clinic_id, profile_id, role) on clinic.user_clinic_roles to authenticated",
        "create policy ins on clinic.user_clinic_roles for insert to authenticated"
        " with check (profile_id = (select tenantry.profile_id()) and role = 'viewer')",
    ),
    "member_update_admin": sql(
        "grant update (role) on clinic.user_clinic_roles to authenticated",
        "create policy upd on clinic.user_clinic_roles for update to authenticated"
        f" using ({of('provider')})"
        f" with check ({of('provider')})",
    ),
    "reinstate_old": edit(
        "tenantry.accept_open(uuid,uuid,text,timestamptz,text)",
        ("(invited.made >= member.changed) is not true", "false"),
    ),
    "accept_expired": edit("tenantry.accept_open(uuid,uuid,text,timestamptz,text)", ("and i.expires_at > now()", "")),
    "claims_no_exp": edit(
        "tenantry.claims()", ("or (said ->> 'exp')::numeric <= extract(epoch from clock_timestamp())", "")
    ),
    "claims_no_role": edit(
        "tenantry.claims()", ("(said ->> 'role') is distinct from current_setting('role')", "false")
    ),
    "merged_into_all": edit("tenantry.merged_into(text, text)", ("= any (tenantry.tenants('viewer'))", "is not null")),
    "clinics_update_provider": sql(
        "drop policy update_clinic_admin on clinic.clinics",
        "create policy update_clinic_admin on clinic.clinics for update to authenticated"
        f" using ({of('provider', 'id')})"
        f" with check ({of('provider', 'id')})",
    ),
    "clinics_status": sql("grant update (status) on clinic.clinics to authenticated"),
    "goals_shared_write": sql(
        "drop policy update_provider on clinic.goals",
        "create policy update_provider on clinic.goals for update to authenticated"
        " using (clinic_id = any ((select tenantry.tenants('provider') || tenantry.shared('goals'))::uuid[]))"
        " with check (clinic_id = any ((select tenantry.tenants('provider') || tenantry.shared('goals'))::uuid[]))",
    ),
    "shared_table_tenant_of_receiver": edit(
        "tenantry.shared(text)",
        (
            "receiving_clinic_id = any (context.readers)",
            "(receiving_clinic_id = any (context.readers) or created_by = tenantry.profile_id())",
        ),
    ),
    "tenants_profile_or_email": edit(
        "tenantry.tenants(text)",
        ("p.auth_user_id = a.user_id", "(p.auth_user_id = a.user_id or p.email = tenantry.email())"),
    ),
    "gone_trigger_dropped": sql("drop trigger tenantry_in_step_gone on auth.users"),
    "membership_unique_dropped": sql(
        "alter table clinic.call_metrics drop constraint call_metrics_clinic_id_staff_profile_id_fkey",
        "alter table clinic.dashboards drop constraint dashboards_clinic_id_profile_id_fkey",
        "alter table clinic.user_clinic_roles drop constraint user_clinic_roles_clinic_id_profile_id_key cascade",
    ),
    "fixture_open": sql(
        "grant insert on tenantry.proof_fixture to authenticated",
        "grant select on tenantry.account_link to authenticated",
    ),
    "own_row_of_colleague_update": sql(
        "drop policy update_own on clinic.profiles",
        "create policy update_own on clinic.profiles for update to authenticated"
        " using (id = any ((select tenantry.colleagues('clinic_admin'))::uuid[]) or id = (select tenantry.profile_id()))"
        " with check (true)",
    ),
    "member_delete_admin": sql(
        "grant delete on clinic.user_clinic_roles to authenticated",
        "create policy del on clinic.user_clinic_roles for delete to authenticated"
        " using (profile_id = (select tenantry.profile_id()))",
    ),
    "notify_title": sql(
        "grant insert (clinic_id, profile_id, kind, title) on clinic.notifications to authenticated",
        f"create policy ins on clinic.notifications for insert to authenticated with check ({of('staff')})",
    ),
    "update_status_of_share_by_receiver": sql(
        "create policy upd2 on clinic.clinic_shares for update to authenticated"
        f" using (receiving_{of('clinic_admin')})"
        " with check (true)",
        "create policy sel2 on clinic.clinic_shares for select to authenticated"
        f" using (receiving_{of('clinic_admin')})",
    ),
    "force_dropped": sql("alter table clinic.goals no force row level security"),
    "row_security_off": sql("alter table clinic.goals disable row level security"),
    "search_path_dropped": sql("alter function tenantry.tenants(text) reset search_path"),
    "search_path_of_shared_dropped": sql("alter function tenantry.shared(text) reset search_path"),
    "trigger_search_path_dropped": sql("alter function clinic.set_audit_columns() reset search_path"),
    "default_privileges_of_tables": sql(
        "alter default privileges for role clinic_owner in schema clinic grant select on tables to authenticated"
    ),
    "default_privileges_of_functions": sql(
        "alter default privileges for role clinic_owner in schema clinic grant execute on functions to anon"
    ),
    "quarantine_readable": sql("grant select on tenantry.quarantine to authenticated"),
    "select_true": sql("create policy wide on clinic.goals for select to authenticated using (true)"),
    "check_true": sql("create policy wide on clinic.goals for update to authenticated using (false) with check (true)"),
    "insert_true": sql("create policy wide on clinic.goals for insert to authenticated with check (true)"),
    "delete_by_viewer": sql(
        "create policy wide on clinic.goals for delete to authenticated"
        " using (clinic_id = any ((select tenantry.tenants('viewer'))::uuid[]))"
    ),
    "tenant_column_writable": sql("grant update (clinic_id) on clinic.goals to authenticated"),
    "id_writable": sql("grant update (id) on clinic.goals to authenticated"),
    "legacy_id_insertable": sql("grant insert (legacy_id) on clinic.goals to authenticated"),
    "capture_off": every(
        "select format('alter table %s disable trigger %I', tgrelid::regclass, tgname) from pg_trigger"
        " where tgrelid = 'clinic.goals'::regclass and not tgisinternal and tgname like 'tenantry%'"
    ),
    "leakproof": sql("alter function tenantry.tenants(text) leakproof"),
    "definer_of_a_superuser": sql("alter function tenantry.tenants(text) owner to postgres"),
    "truncate": sql("grant truncate on clinic.goals to authenticated"),
    "references": sql("grant references on clinic.goals to authenticated"),
    "trigger_right": sql("grant trigger on clinic.goals to authenticated"),
    "create_in_schema": sql("grant create on schema clinic to authenticated"),
    "source_opened": sql(
        "grant usage on schema public to authenticated", "grant select on all tables in schema public to authenticated"
    ),
    "visitors_see_tenants": sql(
        "grant select on clinic.clinics to anon", "create policy wide on clinic.clinics for select to anon using (true)"
    ),
    "policy_of_the_service_for_all": sql("alter policy service_all on clinic.goals to public"),
    "policy_of_the_owner_for_all": sql("alter policy owner_all on clinic.goals to public"),
    "seal_keys_readable": sql("grant select on all tables in schema tenantry to authenticated"),
    "definer_function": sql(
        "create function clinic.goals_of(wanted uuid) returns setof clinic.goals language sql stable security definer"
        " set search_path = pg_catalog, pg_temp as 'select * from clinic.goals where clinic_id = wanted'",
        "alter function clinic.goals_of(uuid) owner to clinic_owner",
        "grant execute on function clinic.goals_of(uuid) to authenticated",
    ),
    "view_of_the_owner": sql(
        "create view clinic.all_goals as select * from clinic.goals",
        "grant select on clinic.all_goals to authenticated",
    ),
    "materialized_view": sql(
        "create materialized view clinic.all_goals as select * from clinic.goals",
        "grant select on clinic.all_goals to authenticated",
    ),
    "invoker_dropped": every(
        "select format('alter view %s reset (security_invoker)', oid::regclass) from pg_class"
        " where relkind = 'v' and relnamespace = 'clinic'::regnamespace"
    ),
    "execute_to_anon": sql("grant execute on function tenantry.shared(text) to anon"),
    "execute_to_public": sql("grant execute on all functions in schema tenantry to public"),
    "profiles_insertable": sql(
        "grant insert (auth_user_id, email) on clinic.profiles to authenticated",
        "create policy wide on clinic.profiles for insert to authenticated with check (true)",
    ),
    "audit_log_writable": sql(
        "grant insert, update, delete on clinic.audit_log to authenticated",
        "create policy wide on clinic.audit_log for all to authenticated"
        " using (clinic_id = any ((select tenantry.tenants('viewer'))::uuid[]))",
    ),
    "one_table_without_a_role": sql(
        "drop policy update_provider on clinic.goals",
        "create policy update_provider on clinic.goals for update to authenticated"
        " using (clinic_id = any ((select tenantry.tenants('viewer'))::uuid[]))",
    ),
    "inherited_option_of_the_login": sql("grant select on clinic.goals to tenantry_login"),
    "open_lifetime": edit("tenantry.open(text,text)", ("age not between", "age / 1000000 not between")),
}

EQUIVALENT = {
    "capture_off": "it opens no row: the way back notices the disabled trigger, installs it again, and compares the whole table",
}
"""Mutations that change nothing of who reaches what, with the reason. That nothing of the access names them is right."""
