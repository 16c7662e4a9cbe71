-- Facts about a database to copy, and about the destination of the copy.

-- name: original
select current_database()::text as database,
       current_user::text as user,
       session_user::text as login,
       (select rolsuper from pg_roles where rolname = current_user) as superuser,
       current_setting('server_version_num')::int as version,
       (select system_identifier::text from pg_control_system()) as system,
       pg_database_size(current_database()) as size,
       (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema') as tables,
       (select rolsuper or rolcreatedb from pg_roles where rolname = current_user) as may_create,
       (select rolsuper or rolcreatedb from pg_roles where rolname = session_user) as login_creates,
       pg_has_role(d.datdba, 'usage') as owned,
       array(select format('%%s belongs to %%s', c.oid::regclass, pg_get_userbyid(c.relowner)) from pg_class c
              where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind in ('r', 'p')
                and c.relname = any (%(tables)s) and not pg_has_role(c.relowner, 'usage') order by 1)
           || array(select format('there is no right to CREATE in database %%s', current_database())
                     where not has_database_privilege(d.oid, 'create')) as lacking,
       -- Autovacuum has no user, and yields; a prepared transaction counts as a session.
       array(select coalesce(nullif(application_name, ''), usename, 'no name')::text from pg_stat_activity
              where datid = d.oid and pid <> pg_backend_pid() and usesysid is not null)
           || array(select 'prepared transaction ' || gid from pg_prepared_xacts where database = d.datname) as sessions,
       to_jsonb(d) || jsonb_build_object('encoding_name', pg_encoding_to_char(d.encoding)) as facts,
       coalesce((select s.setconfig from pg_db_role_setting s where s.setdatabase = d.oid and s.setrole = 0), '{}') as settings
  from pg_database d where d.datname = current_database()

-- name: without_rows
-- The tables that pg_dump refuses to read for this login, since row-level security applies to it (FORCE, or another owner's), and those
-- that cannot be filled without them: what references them, and their partitions and children.
with recursive edges (parent, child) as (
    select confrelid, conrelid from pg_constraint where contype = 'f'
     union
    select inhparent, inhrelid from pg_inherits
), hidden (id) as (
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and row_security_active(c.oid)
     union
    select e.child from edges e join hidden h on e.parent = h.id
)
select n.nspname::text, c.relname::text from hidden h join pg_class c on c.oid = h.id join pg_namespace n on n.oid = c.relnamespace
 order by 1, 2

-- name: owners
-- Relations and routines as ALTER names them, with schema and owner. What belongs to a table or an extension has its owner.
select format('alter table %I.%I', n.nspname, c.relname), n.nspname::text, pg_get_userbyid(c.relowner)::text
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass
                      and (d.deptype = 'e' or (c.relkind = 'S' and d.deptype in ('a', 'i'))))
 union all
select 'alter routine ' || i.identity, n.nspname::text, pg_get_userbyid(p.proowner)::text
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
 cross join lateral pg_identify_object('pg_proc'::regclass, p.oid, 0) i
 where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (select from pg_depend d where d.objid = p.oid and d.classid = 'pg_proc'::regclass and d.deptype = 'e')

-- name: leftovers
select d.datname::text, shobj_description(d.oid, 'pg_database'),
       (select count(*) from pg_stat_activity a where a.datid = d.oid and a.usesysid is not null),
       pg_has_role(d.datdba, 'usage')
  from pg_database d
 where starts_with(shobj_description(d.oid, 'pg_database'), %(mark)s)
 order by 1

-- name: home
select current_database()::text as database,
       current_setting('server_version_num')::int as version,
       (select system_identifier::text from pg_control_system()) as system,
       pg_has_role(d.datdba, 'usage') as owned,
       shobj_description(d.oid, 'pg_database') as comment,
       not exists (select from pg_namespace n where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public'))
           and not exists (select from pg_class c where c.relnamespace = to_regnamespace('public'))
           and not exists (select from pg_proc p where p.pronamespace = to_regnamespace('public'))
           and not exists (select from pg_type t where t.typnamespace = to_regnamespace('public')) as empty
  from pg_database d where d.datname = current_database()

-- name: everything
-- The statements that drop everything a restore can have created.
select format('drop publication %I', pubname) from pg_publication
 union all
select format('drop extension if exists %I cascade', extname) from pg_extension where extname <> 'plpgsql'
 union all
select format('drop schema if exists %I cascade', nspname) from pg_namespace
 where nspname !~ '^pg_' and nspname <> 'information_schema'
 union all
select 'create schema public authorization pg_database_owner'
 union all
select 'grant usage on schema public to public'
 union all
select format('select lo_unlink(%s)', oid) from pg_largeobject_metadata

-- name: roles
-- The roles of a cluster, as another cluster needs them: only the migrator's login keeps its attributes.
select r.rolname::text,
       case when r.rolname = %(login)s
            then concat_ws(' ', 'login', case when r.rolsuper then 'superuser' end, case when r.rolcreaterole then 'createrole' end,
                           case when r.rolcreatedb then 'createdb' end, case when r.rolbypassrls then 'bypassrls' end)
            else 'nologin' end,
       array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid
              where m.member = r.oid and g.rolname = any (%(names)s))
  from pg_roles r
 where r.rolname = any (%(names)s)
 order by r.rolname
