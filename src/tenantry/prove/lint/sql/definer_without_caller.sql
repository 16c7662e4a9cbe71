-- title: Definer functions that clients call depend on the caller
-- level: error
-- why: The function reads tenants' tables with its owner's rights, bypassing policies, and returns the same rows to every caller.
-- fix: Let it compare the rows with the caller's tenants, make it SECURITY INVOKER, or revoke execute from clients.
-- uses: functions, callable, tenant_columns
select f.oid::regprocedure::text as object, c.who || ' may call it; it reads '
       || (select string_agg(r.oid::regclass::text, ', ' order by r.oid::regclass::text)
             from pg_class as r where r.oid = any (f.reads) and r.oid in (select t.oid from tenant_columns as t))
       || ', and its text never asks who calls' as detail,
       case when f.prorettype = 'bool'::regtype then 'warning' else 'error' end as level
  from functions as f
  join callable as c on c.oid = f.oid
 where f.definer and not f.caller and f.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
   and exists (select from tenant_columns as t where t.oid = any (f.reads))
   and not exists (
       select from unnest(f.proargnames) as a (name)
        where regexp_replace(lower(a.name), '^(p|in|i|v|arg|par|param|the|target|new|_)*_+', '') = any (%(tenant_words)s::text[]))
 order by 1, 2
