-- title: Clients have at most one policy for each table and command, and none for all commands at once
-- mending: Drop what the access matrix does not name: permissive policies open each other.
with client as (
    select c.relname::text as table_name, p.polname::text as name, p.polcmd, p.polpermissive, r.rolname
      from pg_policy as p
      join pg_class as c on c.oid = p.polrelid
      join pg_roles as r on r.oid = any (p.polroles) or 0 = any (p.polroles)
     where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
       and r.rolname = any (%(clients)s::text[])
)
select distinct table_name || ': policy ' || name || ' is for all commands' as violation from client where polcmd = '*'
 union
select table_name || ': policies ' || string_agg(name, ', ' order by name) || ' are for the same command'
  from client
 where polpermissive and polcmd <> '*'
 group by table_name, polcmd, rolname
having count(*) > 1
