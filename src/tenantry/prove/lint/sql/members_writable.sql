-- title: No client writes memberships
-- level: error
-- why: A caller who can write the table of memberships can make themselves a member, or an administrator, of any tenant.
-- fix: revoke insert, update, delete on … from …; let a checked SECURITY DEFINER function, or the service, invite and promote.
-- uses: clauses, grants, bodies
-- needs: membership
select c.object, 'policy ' || quote_ident(c.name) || ' lets ' || c.who || ' '
       || string_agg(distinct case g.privilege when 'INSERT' then 'add' when 'UPDATE' then 'change' else 'remove' end, ', ')
       || ' memberships'
       || case when asks.somebody then '' else ', of themselves' end as detail,
       case when bool_or(g.privilege = any (%(members_closed)s::text[])) then 'error'
            when bool_or(g.privilege <> 'DELETE') and not asks.somebody and not %(strict)s then 'error' else 'warning' end as level
  from clauses as c
  join grants as g on g.oid = c.relation
   and g.privilege = any (case c.command when 'a' then '{INSERT}' when 'w' then '{UPDATE}' when 'd' then '{DELETE}'
                                         when '*' then '{INSERT,UPDATE,DELETE}' else '{}' end::text[])
  -- A function beyond the caller's identity, or a table, decides who may write: perhaps administrators.
 cross join lateral (
       select c.relations <> '{}'
              or exists (select from unnest(c.calls) as f (oid) join bodies as b on b.oid = f.oid and not b.direct) as somebody
       ) as asks
 where c.relation = %(membership)s and c.permissive and not c.never
   -- Leaving a tenant harms nobody else.
   and not (c.command = 'd' and c.calls = c.callers and c.relations = '{}')
 group by c.object, c.name, c.who, asks.somebody
 order by 1, 2
