-- Reads the names of the schemas that are not PostgreSQL's own, for the message that one is missing.
select current_database()::text as database, n.nspname::text as name
from pg_database d
left join pg_namespace n
    on n.nspname <> 'information_schema' and left(n.nspname, 3) <> 'pg_'
where d.datname = current_database()
order by n.nspname
