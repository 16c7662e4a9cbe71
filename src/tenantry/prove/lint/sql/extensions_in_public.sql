-- title: Extensions have a schema of their own
-- level: warning
-- why: Their functions are open to PUBLIC, and an API exposes them.
-- fix: alter extension … set schema extensions, or create it there.
-- uses: reach
select quote_ident(e.extname) as object, 'it stands in schema ' || quote_ident(n.nspname) || ', which clients may use' as detail
  from pg_extension as e
  join pg_namespace as n on n.oid = e.extnamespace
 where (n.nspname = 'public' or n.nspname = any (%(schemas)s::text[]))
   and exists (
       select from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as x
         join reach as h on h.grantee = x.grantee
        where x.privilege_type = 'USAGE')
 order by 1
