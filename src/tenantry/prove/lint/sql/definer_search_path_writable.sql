-- title: The search_path of a definer function contains no schema in which clients can make objects
-- level: error
-- why: An operator or function that a client makes there is called with the rights of the function's owner.
-- fix: alter function … set search_path = pg_catalog, pg_temp; revoke create on schema … from …, public.
-- uses: functions, reach
select f.oid::regprocedure::text as object, h.who || ' may create in ' || quote_ident(n.nspname)
       || ', which its search_path holds' as detail
  from functions as f
 cross join lateral regexp_split_to_table(f.path, '\s*,\s*') as s (name)
  join pg_namespace as n on n.nspname = btrim(s.name, '"')
 cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as x
  join reach as h on h.grantee = x.grantee
 where f.definer and x.privilege_type = 'CREATE'
 order by 1, 2
