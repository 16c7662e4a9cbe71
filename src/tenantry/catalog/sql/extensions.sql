-- Reads the names of the extensions whose objects are in the schema.
select e.extname::text as name
from pg_extension e
where e.extnamespace = %(namespace)s
