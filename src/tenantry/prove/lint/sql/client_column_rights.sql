-- title: No client may change an id, a tenant, or who made a row and when
-- level: error
-- why: A caller who may update the tenant column of a row can move it into another tenant, or out of their own.
-- fix: revoke update on … from …, then grant it again column by column without these.
-- uses: grants, tenant_columns, clauses, guarded
-- proof: yes
select r.object || '.' || quote_ident(a.attname) as object, 'UPDATE for ' || string_agg(distinct g.who, ', ' order by g.who) as detail,
       case when %(strict)s then 'error'
            -- If a policy checks the tenant of the new row, a row can move only to another tenant of the caller.
            when r.relrowsecurity and not exists (
                select from clauses as w
                 where w.relation = r.oid and w.permissive and w.command in ('w', '*') and (w.clause = 'WITH CHECK' or w.without_check)
                   and not w.never and not a.attnum = any (w.columns)) then 'info'
            else 'warning' end as level
  from relations as r
  join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  join grants as g on g.oid = r.oid and g.number in (0, a.attnum) and g.privilege = 'UPDATE'
 where r.relkind in ('r', 'p')
   and (%(strict)s or not exists (select from guarded as k where k.oid = r.oid and k.number = a.attnum))
   -- If each row belongs to a person, a policy that checks the new row's owner keeps it with that person.
   and not (%(user_owned)s
            and not exists (
                select from clauses as w
                 where w.relation = r.oid and w.permissive and w.command in ('w', '*') and (w.clause = 'WITH CHECK' or w.without_check)
                   and not w.never and not a.attnum = any (w.columns)))
   -- Without a manifest, a right that no policy makes usable is a platform's default grant.
   and (%(strict)s or not r.relrowsecurity
        or exists (
           select from policies as p
            where p.relation = r.oid and p.permissive and p.command in ('w', '*')
              and not exists (select from clauses as c where c.oid = p.oid and c.never)))
   and (a.attname = any (%(protected)s::text[])
        or exists (select from tenant_columns as t where t.oid = r.oid and t.number = a.attnum))
 group by r.object, r.oid, r.relrowsecurity, a.attname, a.attnum
 order by 1
