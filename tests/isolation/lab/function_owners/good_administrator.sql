-- A login of those who look after the database: it becomes the owner, and so, by the owner, the clients.
create function app.stamp() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin new.title := btrim(new.title); return new; end $$;
create trigger stamp before insert on app.notes for each row execute function app.stamp();
reset role;
create role lab_admin login noinherit;
grant lab_owner to lab_admin;
grant anon, authenticated to lab_owner;
do $$ begin execute format('grant connect on database %I to lab_admin', current_database()); end $$;
