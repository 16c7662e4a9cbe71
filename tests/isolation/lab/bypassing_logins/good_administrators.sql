-- Those who look after the database prove what clients may do, or made them: the server's first superuser, and one who owns tables.
reset role;
create role lab_root login superuser;
alter default privileges for role lab_root revoke execute on functions from public;
grant create, usage on schema app to lab_root;
grant anon, authenticated to lab_root;
do $$ begin execute format('grant authenticated to %I', (select rolname from pg_roles where oid = 10)); end $$;
alter table app.comments owner to lab_root;
create policy root_all on app.comments to lab_root using (true) with check (true);
