-- title: A definer function with a tenant argument checks that it is the caller's
-- level: error
-- why: The caller writes any tenant into the argument, and the function reads or writes there with its owner's rights.
-- fix: Check the argument against the caller's tenants in the function, or take the tenant from the caller instead.
-- uses: functions, callable
select f.oid::regprocedure::text as object, c.who || ' may call it; its argument ' || quote_ident(a.name)
       || ' is a tenant, and its text never asks who calls' as detail,
       -- A boolean function for policies, which pass auth.uid() as another argument.
       case when f.prorettype = 'bool'::regtype then 'warning' else 'error' end as level
  from functions as f
  join callable as c on c.oid = f.oid
 cross join lateral unnest(f.proargnames) as a (name)
 where f.definer and not f.caller and f.reads <> '{}'
   and regexp_replace(lower(a.name), '^(p|in|i|v|arg|par|param|the|target|new|_)*_+', '') = any (%(tenant_words)s::text[])
 order by 1, 2
