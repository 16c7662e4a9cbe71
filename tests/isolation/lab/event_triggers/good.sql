reset role;
create function hidden.watch() returns event_trigger language plpgsql set search_path = pg_catalog, pg_temp as $$ begin null; end $$;
revoke all on function hidden.watch() from public;
create event trigger lab_watch on ddl_command_end execute function hidden.watch();
