-- Whether the session of a verified token is still alive: for applications that end stolen tokens at the next request.
-- Repeatable. Run by the owner of schema auth, or on a Supabase by postgres: by a role that sees every row of auth.users and auth.sessions.
-- An application's login gets the right to call the two functions and none on the tables.

do $$
begin
    -- IF NOT EXISTS would ask for CREATE on the database also where the schema exists.
    if to_regnamespace('tenantry_auth') is null then
        create schema tenantry_auth;
    end if;
end
$$;
revoke all on schema tenantry_auth from public;

-- row_security = off: a role that row-level security hides rows from gets an error, not the answer that everyone has signed out.
-- The bodies are texts: a bound one would keep Supabase Auth from changing its columns. All names in them are qualified or of pg_catalog.
create or replace function tenantry_auth.auth_session_alive(session_id uuid, user_id uuid) returns boolean
    language sql stable security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
    select exists (
        select
          from auth.sessions as s
          join auth.users as u on u.id = s.user_id
         where s.id = auth_session_alive.session_id
           and s.user_id = auth_session_alive.user_id
           and (s.not_after is null or s.not_after > clock_timestamp())
           and (u.banned_until is null or u.banned_until <= clock_timestamp())
           and u.deleted_at is null
    )
$$;
comment on function tenantry_auth.auth_session_alive(uuid, uuid) is
    'Whether the session exists and has not ended, and its user is neither banned nor deleted.';
revoke all on function tenantry_auth.auth_session_alive(uuid, uuid) from public;

-- For the statement that opens a context: an error keeps the statements that travel with it from running.
create or replace function tenantry_auth.require_session(session_id uuid, user_id uuid) returns void
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
    set row_security = off
as $$
begin
    if not coalesce(tenantry_auth.auth_session_alive(session_id, user_id), false) then
        raise exception 'the session has ended' using errcode = 'TN623';
    end if;
end
$$;
comment on function tenantry_auth.require_session(uuid, uuid) is 'Raises an error (SQLSTATE TN623) unless the session is alive.';
revoke all on function tenantry_auth.require_session(uuid, uuid) from public;
