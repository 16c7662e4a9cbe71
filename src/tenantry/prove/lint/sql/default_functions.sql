-- title: Functions that are made later are not open to PUBLIC
-- level: info
-- why: PostgreSQL lets PUBLIC execute every new function: a SECURITY DEFINER one is open from the moment it is made.
-- fix: alter default privileges for role … revoke execute on functions from public.
-- uses: relations
select '' as object, 'functions that ' || o.rolname || ' makes are open to PUBLIC' as detail
  from pg_roles as o
 where o.oid in (select relowner from relations where relkind in ('r', 'p'))
   and not exists (
       select from pg_default_acl as d
        where d.defaclrole = o.oid and d.defaclobjtype = 'f' and d.defaclnamespace = 0
          and not exists (select from aclexplode(d.defaclacl) as x where x.grantee = 0))
 order by 2
