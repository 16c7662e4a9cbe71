-- title: Clients have at most one policy for each table and command, and none for all commands at once
-- mending: Drop what the access matrix does not name: permissive policies open each other.
with client as (
    select c.relname::text as table_name, p.polname::text as name, p.polcmd, p.polpermissive
      from pg_policy as p
      join pg_class as c on c.oid = p.polrelid
     where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
       and exists (
           select from unnest(p.polroles) as to_role (oid)
             left join pg_roles as r on r.oid = to_role.oid
            where to_role.oid = 0 or r.rolname = any (%(clients)s::text[]))
)
select table_name || ': policy ' || name || ' is for all commands' as violation from client where polcmd = '*'
 union all
select table_name || ': policies ' || string_agg(name, ', ' order by name) || ' are for the same command'
  from client
 where polpermissive and polcmd <> '*'
 group by table_name, polcmd
having count(*) > 1
