reset role;
create schema extensions;
set local allow_system_table_mods = on;
update pg_extension set extnamespace = 'extensions'::regnamespace where extname = 'plpgsql';
