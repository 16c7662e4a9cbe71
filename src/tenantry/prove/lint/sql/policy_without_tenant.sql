-- title: Every permissive policy of a tenant's table tests the tenant
-- level: warning
-- why: Permissive policies are joined by OR: one that does not test the tenant opens rows of other tenants, or of a tenant that
--   the caller has left.
-- fix: Add the comparison of the tenant to each of them, or make it one restrictive policy that applies to all of them.
-- uses: clauses, tenant_columns
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' does not look at '
       || quote_ident(a.attname) as detail
  from clauses as c
  join tenant_columns as t on t.oid = c.relation and not t.is_root
  join pg_attribute as a on a.attrelid = t.oid and a.attnum = t.number
 where c.permissive and c.columns <> '{}' and not t.number = any (c.columns) and not c.always and not c.nobody
   and not exists (
       select from clauses as f
        where f.relation = c.relation and not f.permissive and t.number = any (f.columns) and f.command in (c.command, '*'))
   -- Everybody reads their own memberships, to find the tenants that they belong to.
   and not (c.relation = %(membership)s and c.command = 'r'
            and exists (
                select from jsonb_array_elements(c.compared) as e where (e ->> 0)::int = %(member_number)s and e ->> 2 = 'caller'))
   -- If each row belongs to a person, they decide what to share, by a column of the row or of a referenced row.
   and not (%(user_owned)s and c.command = 'r')
 order by 1, 2
