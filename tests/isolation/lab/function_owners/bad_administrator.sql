-- fires: app.stamp()
create function app.stamp() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin new.title := btrim(new.title); return new; end $$;
create trigger stamp before insert on app.notes for each row execute function app.stamp();
reset role;
create role lab_admin login noinherit;
grant lab_owner, authenticated to lab_admin;
do $$ begin execute format('grant connect on database %I to lab_admin', current_database()); end $$;
