-- fires: app.stamp()
create function app.stamp() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin new.title := btrim(new.title); return new; end $$;
create trigger stamp before insert on app.notes for each row execute function app.stamp();
reset role;
grant create on schema app to lab_app;
alter function app.stamp() owner to lab_app;
revoke create on schema app from lab_app;
