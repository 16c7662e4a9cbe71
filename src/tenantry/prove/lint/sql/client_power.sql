-- title: No client is, or can become, a role of greater power
-- level: error
-- why: After one SET ROLE, or one GRANT, no policy applies any more; injected SQL can run it too.
-- fix: revoke … from …. Use a separate login for tasks that need the greater role.
-- uses: becomes, relations
with power as (
    select r.oid, r.rolname::text as name,
           case when r.rolsuper then 'a superuser'
                when r.rolbypassrls then 'who bypasses row-level security'
                when r.rolcreaterole then 'who makes roles'
                when r.rolreplication then 'who reads everything as a replica'
                when r.rolname in ('pg_read_all_data', 'pg_write_all_data', 'pg_maintain', 'pg_read_server_files',
                                   'pg_write_server_files', 'pg_execute_server_program', 'pg_signal_backend',
                                   'pg_monitor', 'pg_read_all_stats', 'pg_read_all_settings', 'pg_create_subscription')
                then 'a role of the server'
                when r.oid in (select relowner from relations where relkind in ('r', 'p')) then 'who owns tables' end as what
      from pg_roles as r
)
select '' as object,
       b.who || case when b.inherited then ' has the rights of ' else ' can become ' end || p.name || ', ' || p.what as detail,
       case when p.name = any (%(service)s::text[]) and not b.inherited then 'warning' else 'error' end as level
  from becomes as b
  join power as p on p.oid = b.role
 where p.what is not null
 union
select '', p.name || ' is itself one ' || p.what, 'error'
  from power as p
 where p.name = any (%(clients)s::text[]) and p.what in ('who makes roles', 'who reads everything as a replica')
 union
select '', r.rolname || ' may grant ' || g.rolname || ' to others', 'error'
  from pg_auth_members as m
  join pg_roles as r on r.oid = m.member
  join pg_roles as g on g.oid = m.roleid
 where m.admin_option and r.rolname = any (%(clients)s::text[])
 order by 2
