-- What a hosted platform brings: accounts, and functions that say who calls, which nobody but the platform alters.
create schema auth;
create table auth.users (id uuid primary key, email text);
create function auth.jwt() returns jsonb language sql stable as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
create function auth.uid() returns uuid language sql stable as $$ select (auth.jwt() ->> 'sub')::uuid $$;
create function auth.role() returns text language sql stable as $$ select auth.jwt() ->> 'role' $$;
grant usage on schema auth, public to anon, authenticated;
create schema private;
grant usage on schema private to authenticated;
alter default privileges revoke execute on functions from public;
insert into auth.users select ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'person' || n || '@example.org' from generate_series(1, 4) as n;
do $$ begin execute format('revoke temporary on database %I from public', current_database()); end $$;
