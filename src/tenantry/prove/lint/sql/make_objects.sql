-- title: Clients can make no objects: no table, no function, no temporary object that shadows another
-- level: error
-- why: A caller's object can replace the one that a function with higher rights refers to, and remains for the next user of
--   the connection.
-- fix: revoke create on schema … from …, public; revoke temporary, create on database … from …, public. `tenantry roles`
--   prints a script that does the latter.
-- uses: reach
-- proof: yes
select quote_ident(n.nspname) as object, h.who || ' may create in the schema' as detail, 'error' as level
  from pg_namespace as n
 cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as x
  join reach as h on h.grantee = x.grantee
 where x.privilege_type = 'CREATE' and n.nspname !~ '^pg_'
 union
select '', 'database ' || quote_ident(d.datname) || ': ' || h.who || ' has ' || x.privilege_type,
       case when x.privilege_type = 'TEMPORARY' and not %(strict)s then 'warning' else 'error' end
  from pg_database as d
 cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as x
  join reach as h on h.grantee = x.grantee
 where d.datname = current_database() and x.privilege_type in ('CREATE', 'TEMPORARY')
 order by 1, 2
