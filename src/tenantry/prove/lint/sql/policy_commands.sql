-- title: Clients have at most one permissive policy for each table and command
-- level: error
-- why: Permissive policies are joined by OR: a row that one of them allows is allowed.
-- fix: Merge them into one policy, or make those restrictive that are meant to apply to all rows. With a manifest,
--   drop the policies that its access matrix does not name.
-- uses: policies
-- proof: yes
with client as (
    select p.object, p.name, p.command, c.command as single, h.who
      from policies as p
     cross join lateral unnest(case when p.command = '*' then '{r,a,w,d}' else array[p.command] end::"char"[]) as c (command)
      join pg_policy as q on q.oid = p.oid
      join reach as h on h.grantee = any (q.polroles) or 0 = any (q.polroles)
     where p.permissive
)
select distinct object, 'policy ' || quote_ident(name) || ' is for all commands' as detail, 'error' as level
  from client
 where command = '*' and %(strict)s
 union
select object,
       'policies ' || string_agg(distinct quote_ident(name), ', ' order by quote_ident(name)) || ' open each other for '
       || case single when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' else 'DELETE' end,
       case when %(strict)s then 'error' else 'info' end
  from client
 where not %(strict)s or command <> '*'
 group by object, single, who
having count(distinct name) > 1
 order by 1, 2
