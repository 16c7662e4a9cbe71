-- title: Clients can make nothing: no table, no function, no temporary object that shadows another
-- mending: revoke create on schema … from …, public; revoke temporary, create on database … from …, public.
select n.nspname::text || ': ' || r.rolname || ' may create in the schema' as violation
  from pg_namespace as n
 cross join pg_roles as r
 where n.nspname in (%(schema)s, 'tenantry', 'auth')
   and r.rolname = any (%(callers)s::text[]) and not r.rolsuper
   and has_schema_privilege(r.oid, n.oid, 'CREATE')
 union all
select 'database ' || current_database() || ': ' || r.rolname || ' has ' || p.privilege
  from pg_roles as r
 cross join (values ('CREATE'), ('TEMPORARY')) as p (privilege)
 where r.rolname = any (%(callers)s::text[]) and not r.rolsuper
   and has_database_privilege(r.oid, current_database(), p.privilege)
