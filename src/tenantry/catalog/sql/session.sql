-- Makes PostgreSQL print names and constants the same way, whatever the session's settings, until the transaction ends.
-- An empty search_path would not do: a temporary table named pg_class would be found before the real one.
select set_config(name, value, true)
from (values
    ('search_path', 'pg_catalog, pg_temp'),
    ('quote_all_identifiers', 'off'),
    ('standard_conforming_strings', 'on'),
    ('datestyle', 'ISO, YMD'),
    ('intervalstyle', 'postgres'),
    ('timezone', 'UTC'),
    ('extra_float_digits', '1'),
    ('bytea_output', 'hex'),
    ('jit', 'off')
) as wanted (name, value)
