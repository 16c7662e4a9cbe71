-- Reads the schema itself, its owner and comment, and where it was found.
select
    n.oid,
    current_database()::text as database,
    current_setting('server_version_num')::int as server_version,
    pg_get_userbyid(n.nspowner)::text as owner,
    obj_description(n.oid, 'pg_namespace') as comment
from pg_namespace n
where n.nspname = %(schema)s
