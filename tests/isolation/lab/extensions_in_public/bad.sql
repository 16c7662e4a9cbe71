-- fires: plpgsql
-- Core PostgreSQL has no extension that can be moved: so the catalog itself is told.
reset role;
set local allow_system_table_mods = on;
update pg_extension set extnamespace = 'public'::regnamespace where extname = 'plpgsql';
