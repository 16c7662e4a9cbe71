-- Makes PostgreSQL print names and constants the same way whatever the session was set to, until the transaction ends.
-- Not an empty search_path: with that a temporary table named pg_class would be found before the real one.
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
