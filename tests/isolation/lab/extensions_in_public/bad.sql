-- fires: plpgsql
-- Core PostgreSQL has no relocatable extension, so the catalog is changed directly.
reset role;
set local allow_system_table_mods = on;
update pg_extension set extnamespace = 'public'::regnamespace where extname = 'plpgsql';
