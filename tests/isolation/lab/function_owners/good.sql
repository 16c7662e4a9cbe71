create function app.stamp() returns trigger language plpgsql set search_path = pg_catalog, pg_temp
    as $$ begin new.title := btrim(new.title); return new; end $$;
create trigger stamp before insert on app.notes for each row execute function app.stamp();
