-- title: Policies of stored files name the bucket
-- level: warning
-- why: One table holds the files of all buckets: a policy that does not compare the bucket opens all of them.
-- fix: Add bucket_id = '…' to the condition, and compare the folder's name with the caller's tenant.
-- uses: reach
-- needs: storage
select 'storage.objects' as object, 'policy ' || quote_ident(p.polname) || ' does not look at bucket_id' as detail
  from pg_policy as p
  join pg_class as c on c.oid = p.polrelid and c.relname = 'objects'
  join pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'storage'
  join pg_attribute as a on a.attrelid = c.oid and a.attname = 'bucket_id'
 where p.polpermissive
   and exists (select from reach as h where h.grantee = any (p.polroles))
   and not exists (
       select from pg_depend as d
        where d.classid = 'pg_policy'::regclass and d.objid = p.oid and d.refobjid = c.oid and d.refobjsubid = a.attnum)
 order by 1, 2
