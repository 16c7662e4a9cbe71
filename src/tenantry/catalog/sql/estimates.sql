-- Reads the estimated numbers of rows of the tables of the schema.
select c.relname::text, c.reltuples::int8
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relkind in ('r', 'p', 'f')
