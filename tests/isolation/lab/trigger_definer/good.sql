create function hidden.count_up() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp
    as $$ begin update app.orgs set name = name where id = new.org_id; return new; end $$;
create trigger count_up after insert on app.notes for each row execute function hidden.count_up();
