-- fires: app.notes
create function hidden.stamp() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin return new; end $$;
create trigger stamp before insert on app.notes for each row execute function hidden.stamp();
alter table app.notes enable replica trigger stamp;
