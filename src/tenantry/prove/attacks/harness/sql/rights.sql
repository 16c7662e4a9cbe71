-- For each attack that a right would allow: who has that right. First column: the right, in words.
-- Parameters: schema, tenant (the column), client, anon, login.

-- name: lock_table
select format('%%s has DELETE, UPDATE or TRUNCATE on all of %%s', r.rolname, c.oid::regclass)
  from pg_class as c cross join pg_roles as r
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind in ('r', 'p')
   and r.rolname in (%(client)s, %(anon)s, %(login)s)
   and (has_table_privilege(r.oid, c.oid, 'DELETE') or has_table_privilege(r.oid, c.oid, 'UPDATE') or has_table_privilege(r.oid, c.oid, 'TRUNCATE'))
 order by 1

-- name: truncate
select format('%%s has TRUNCATE on %%s', r.rolname, c.oid::regclass)
  from pg_class as c cross join pg_roles as r
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind in ('r', 'p')
   and r.rolname in (%(client)s, %(anon)s, %(login)s) and has_table_privilege(r.oid, c.oid, 'TRUNCATE')
 order by 1

-- name: trigger
select format('%%s has TRIGGER on %%s', r.rolname, c.oid::regclass)
  from pg_class as c cross join pg_roles as r
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind in ('r', 'p', 'v')
   and r.rolname in (%(client)s, %(anon)s, %(login)s) and has_table_privilege(r.oid, c.oid, 'TRIGGER')
 order by 1

-- name: references
select format('%%s has REFERENCES on %%s', r.rolname, c.oid::regclass)
  from pg_class as c cross join pg_roles as r
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind in ('r', 'p')
   and r.rolname in (%(client)s, %(anon)s, %(login)s) and has_any_column_privilege(r.oid, c.oid, 'REFERENCES')
 order by 1

-- name: own_table
select format('%%s owns, or may act as the owner of, %%s', r.rolname, c.oid::regclass)
  from pg_class as c cross join pg_roles as r
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind in ('r', 'p', 'v', 'm', 'S')
   and r.rolname in (%(client)s, %(anon)s, %(login)s) and pg_has_role(r.oid, c.relowner, 'MEMBER')
 order by 1

-- name: grant_option
select format('%%s may pass on %%s on %%s', coalesce(r.rolname, 'PUBLIC'), g.privilege_type, c.oid::regclass)
  from pg_class as c
 cross join lateral aclexplode(c.relacl) as g
  left join pg_roles as r on r.oid = g.grantee
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and g.is_grantable
   and (g.grantee = 0 or r.rolname in (%(client)s, %(anon)s, %(login)s))
 order by 1

-- name: create_in_schemas
select format('%%s may create in schema %%I', r.rolname, n.nspname)
  from pg_namespace as n cross join pg_roles as r
 where n.nspname !~ '^pg_' and r.rolname in (%(client)s, %(anon)s, %(login)s) and has_schema_privilege(r.oid, n.oid, 'CREATE')
 order by 1

-- name: create_in_database
select format('%%s may create schemas in the database', r.rolname)
  from pg_roles as r
 where r.rolname in (%(client)s, %(anon)s, %(login)s) and has_database_privilege(r.oid, current_database(), 'CREATE')
 order by 1

-- name: temporary
select format('%%s may make temporary tables', r.rolname)
  from pg_roles as r
 where r.rolname in (%(client)s, %(anon)s, %(login)s) and has_database_privilege(r.oid, current_database(), 'TEMPORARY')
 order by 1

-- name: login_owns
select format('%%s owns %%s objects', r.rolname, count(*))
  from pg_shdepend as d
  join pg_roles as r on r.oid = d.refobjid
 where d.refclassid = 'pg_authid'::regclass and d.deptype = 'o' and r.rolname in (%(client)s, %(anon)s, %(login)s)
   and d.dbid in (0, (select oid from pg_database where datname = current_database()))
 group by r.rolname
 order by 1

-- name: login_becomes
select format('%%s may become %%s', l.rolname, r.rolname)
  from pg_roles as l
  join pg_roles as r on r.rolname not in (l.rolname, %(client)s, %(anon)s) and pg_has_role(l.oid, r.oid, 'MEMBER')
 where l.rolname in (%(client)s, %(anon)s, %(login)s)
 order by 1

-- name: attributes
select format('%%s has %%s', r.rolname, concat_ws(', ', case when r.rolsuper then 'SUPERUSER' end, case when r.rolbypassrls then 'BYPASSRLS' end,
              case when r.rolcreaterole then 'CREATEROLE' end, case when r.rolcreatedb then 'CREATEDB' end, case when r.rolreplication then 'REPLICATION' end))
  from pg_roles as r
 where r.rolname in (%(client)s, %(anon)s, %(login)s)
   and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication)
 order by 1

-- name: inherits
select format('%%s inherits the rights of %%s', l.rolname, r.rolname)
  from pg_auth_members as m
  join pg_roles as l on l.oid = m.member
  join pg_roles as r on r.oid = m.roleid
 where l.rolname = %(login)s and coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, l.rolinherit)
 order by 1

-- name: later_tables
select format('later tables of %%s are open to %%s: %%s', o.rolname, coalesce(r.rolname, 'PUBLIC'), g.privilege_type)
  from pg_default_acl as d
 cross join lateral aclexplode(d.defaclacl) as g
  join pg_roles as o on o.oid = d.defaclrole
  left join pg_roles as r on r.oid = g.grantee
 where d.defaclobjtype = 'r' and (d.defaclnamespace = 0 or d.defaclnamespace = to_regnamespace(quote_ident(%(schema)s)))
   and (g.grantee = 0 or r.rolname in (%(client)s, %(anon)s, %(login)s))
 order by 1

-- name: later_functions
select format('later functions of %%s are open to PUBLIC', t.rolname)
  from (select distinct pg_get_userbyid(c.relowner)::text as rolname, c.relowner from pg_class as c
         where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind in ('r', 'p')) as t
 where exists (
       select from aclexplode(coalesce(
           (select d.defaclacl from pg_default_acl as d where d.defaclrole = t.relowner and d.defaclobjtype = 'f' and d.defaclnamespace = 0),
           acldefault('f', t.relowner))) as g
        where g.grantee = 0 and g.privilege_type = 'EXECUTE')
 order by 1

-- name: mutable_path
select format('%%s has no search_path of its own, and clients may execute it', p.oid::regprocedure)
  from pg_proc as p
  join pg_namespace as n on n.oid = p.pronamespace
 where p.prosecdef and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and has_function_privilege(%(client)s, p.oid, 'EXECUTE')
   and not exists (select from unnest(p.proconfig) as s (setting) where s.setting like 'search_path=%%')
 order by 1

-- name: server_files
select format('%%s may reach files or programs of the server: %%s', r.rolname, p.rolname)
  from pg_roles as r
  join pg_roles as p on p.rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
 where r.rolname in (%(client)s, %(anon)s, %(login)s) and pg_has_role(r.oid, p.oid, 'MEMBER')
 union all
select format('%%s may execute %%s', r.rolname, f.oid::regprocedure)
  from pg_roles as r cross join pg_proc as f
 where r.rolname in (%(client)s, %(anon)s, %(login)s) and f.pronamespace = 'pg_catalog'::regnamespace
   and f.proname in ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'lo_import', 'lo_export')
   and has_function_privilege(r.oid, f.oid, 'EXECUTE')
 order by 1

-- name: other_sessions
select format('%%s may execute %%s, and all sessions of the application are those of one login', r.rolname, f.oid::regprocedure)
  from pg_roles as r cross join pg_proc as f
 where r.rolname = %(login)s and f.pronamespace = 'pg_catalog'::regnamespace
   and f.proname in ('pg_terminate_backend', 'pg_cancel_backend') and has_function_privilege(r.oid, f.oid, 'EXECUTE')
 order by 1

-- name: remote
select format('%%s may execute %%s', r.rolname, f.oid::regprocedure)
  from pg_roles as r
 cross join pg_proc as f
 where r.rolname in (%(client)s, %(anon)s, %(login)s)
   and f.proname in ('dblink', 'dblink_connect', 'dblink_exec', 'dblink_connect_u', 'dblink_send_query')
   and has_function_privilege(r.oid, f.oid, 'EXECUTE') and has_schema_privilege(r.oid, f.pronamespace, 'USAGE')
 order by 1

-- name: settings
select format('%%s may set %%s', r.rolname, 'session_replication_role')
  from pg_roles as r
 where r.rolname in (%(client)s, %(anon)s, %(login)s)
   and has_parameter_privilege(r.oid, 'session_replication_role', 'SET')
 order by 1

-- name: statistics
select format('%%s may read %%s', r.rolname, c.oid::regclass)
  from pg_roles as r cross join pg_class as c
 where r.rolname in (%(client)s, %(anon)s, %(login)s)
   and c.oid in ('pg_catalog.pg_statistic'::regclass, 'pg_catalog.pg_statistic_ext_data'::regclass)
   and has_any_column_privilege(r.oid, c.oid, 'SELECT')
   and not (c.relname = 'pg_statistic_ext_data' and not has_column_privilege(r.oid, c.oid, 'stxdmcv', 'SELECT'))
 order by 1

-- name: seal_key
select format('%%s may read tenantry.seal_key', r.rolname)
  from pg_roles as r
 where r.rolname in (%(client)s, %(anon)s, %(login)s) and to_regclass('tenantry.seal_key') is not null
   and has_any_column_privilege(r.oid, to_regclass('tenantry.seal_key'), 'SELECT, INSERT, UPDATE')
 order by 1

-- name: engine_functions
select format('%%s may execute %%s', r.rolname, p.oid::regprocedure)
  from pg_roles as r
 cross join pg_proc as p
 where r.rolname in (%(client)s, %(anon)s, %(login)s) and p.pronamespace = to_regnamespace('tenantry')
   and p.prorettype <> 'trigger'::regtype and has_schema_privilege(r.oid, p.pronamespace, 'USAGE')
   and has_function_privilege(r.oid, p.oid, 'EXECUTE')
   and p.proname <> all (array[
       'challenge', 'open', 'claims', 'uid', 'role', 'email', 'is_super', 'profile_id', 'tenants', 'colleagues', 'shared',
       'has_tenant_access', 'check_tenant_access', 'is_tenant_admin',
       'id_of', 'old_id_of', 'to_id', 'note_id_use', 'merged_into'])
 order by 1

-- name: foreign_schemas
select format('%%s may read %%s', r.rolname, c.oid::regclass)
  from pg_roles as r
 cross join pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 where r.rolname in (%(client)s, %(anon)s, %(login)s) and c.relkind in ('r', 'p', 'm')
   and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', %(schema)s)
   and has_schema_privilege(r.oid, n.oid, 'USAGE') and has_any_column_privilege(r.oid, c.oid, 'SELECT')
   and not c.relrowsecurity
 order by 1

-- name: owner_views
select format('%%s may read %%s, a view with the rights of its owner', r.rolname, c.oid::regclass)
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 cross join pg_roles as r
 where c.relkind = 'v' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and r.rolname in (%(client)s, %(anon)s, %(login)s)
   and has_schema_privilege(r.oid, n.oid, 'USAGE') and has_any_column_privilege(r.oid, c.oid, 'SELECT')
   and not coalesce((select lower(o.option_value) in ('true', 'on', 'yes', '1') from pg_options_to_table(c.reloptions) as o
                      where o.option_name = 'security_invoker'), false)
   and not exists (select from pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by 1

-- name: materialized_views
select format('%%s may read %%s, a materialized view, which knows no policies', r.rolname, c.oid::regclass)
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 cross join pg_roles as r
 where c.relkind = 'm' and n.nspname !~ '^pg_' and r.rolname in (%(client)s, %(anon)s, %(login)s)
   and has_schema_privilege(r.oid, n.oid, 'USAGE') and has_any_column_privilege(r.oid, c.oid, 'SELECT')
 order by 1

-- name: children
select format('%%s may read %%s by its own name, and it has no row-level security', r.rolname, c.oid::regclass)
  from pg_inherits as i
  join pg_class as c on c.oid = i.inhrelid
  join pg_namespace as n on n.oid = c.relnamespace
 cross join pg_roles as r
 where c.relkind in ('r', 'p', 'f') and not c.relrowsecurity and n.nspname !~ '^pg_' and r.rolname in (%(client)s, %(anon)s, %(login)s)
   and has_schema_privilege(r.oid, n.oid, 'USAGE') and has_any_column_privilege(r.oid, c.oid, 'SELECT')
 order by 1

-- name: sequences
select format('%%s has %%s on %%s, which numbers rows of tenants', r.rolname, p.privilege, s.oid::regclass)
  from pg_class as s
  join pg_depend as d on d.classid = 'pg_class'::regclass and d.objid = s.oid and d.deptype in ('a', 'i') and d.refobjsubid > 0
  join pg_attribute as t on t.attrelid = d.refobjid and t.attname = %(tenant)s and not t.attisdropped
 cross join pg_roles as r
 cross join (values ('USAGE'), ('SELECT'), ('UPDATE')) as p (privilege)
 where s.relkind = 'S' and s.relnamespace = to_regnamespace(quote_ident(%(schema)s))
   and r.rolname in (%(client)s, %(anon)s, %(login)s) and has_sequence_privilege(r.oid, s.oid, p.privilege)
 order by 1

-- name: protected_columns
select format('%%s may change %%s.%%I', r.rolname, c.oid::regclass, a.attname)
  from pg_class as c
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 cross join pg_roles as r
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind in ('r', 'p')
   and (a.attname in ('id', 'legacy_id', 'created_at', 'updated_at', 'created_by', 'updated_by') or a.attname = %(tenant)s)
   and r.rolname in (%(client)s, %(anon)s, %(login)s) and has_column_privilege(r.oid, c.oid, a.attnum, 'UPDATE')
 order by 1

-- name: gives_up
select format('policies of %%s tables name %%s, who holds rights of whole tables only, so that DROP OWNED BY locks them', count(distinct p.polrelid), r.rolname)
  from pg_roles as r
  join pg_policy as p on r.oid = any (p.polroles)
 where r.rolname in (%(client)s, %(anon)s, %(login)s)
   -- The command fails if it may not revoke a right, e.g. on a column that has none.
   and not exists (
       select from pg_class as c
        where (exists (select from aclexplode(c.relacl) as g where g.grantee = r.oid)
               or exists (
                   select from pg_attribute as a cross join lateral aclexplode(a.attacl) as g
                    where a.attrelid = c.oid and a.attacl is not null and not a.attisdropped and g.grantee = r.oid))
          and not exists (
               select from aclexplode(c.relacl) as g
                where g.grantee in (0, r.oid) and g.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')))
 group by r.rolname
 order by 1

-- name: advisory_locks
select format('%%s may take advisory locks without end: %%s', r.rolname, min(f.oid::regprocedure::text))
  from pg_roles as r cross join pg_proc as f
 where r.rolname in (%(client)s, %(anon)s, %(login)s) and f.pronamespace = 'pg_catalog'::regnamespace
   and f.proname ~ '^pg_(try_)?advisory_(xact_)?lock(_shared)?$' and has_function_privilege(r.oid, f.oid, 'EXECUTE')
 group by r.rolname
 order by 1

-- name: prepared_transactions
select 'transactions can be left prepared: max_prepared_transactions is ' || current_setting('max_prepared_transactions')
 where current_setting('max_prepared_transactions')::int > 0

-- name: secret_settings
select format('everybody may read the setting %%s', split_part(s.text, '=', 1))
  from pg_db_role_setting as d
 cross join lateral unnest(d.setconfig) as s (text)
 where d.setdatabase in (0, (select oid from pg_database where datname = current_database()))
   and split_part(s.text, '=', 1) ~* '[.].*(secret|passw|token|credential|(api|private|service|signing|jwt|access)_?key)'
   and split_part(s.text, '=', 2) <> ''
 order by 1
