-- Rights for synthetic writes on a copy.

-- name: rights
-- Statements that grant a role its missing rights to write the tables of a schema, each with the statement that undoes it.
select format('grant usage on schema %%I to %%I', n.nspname, r.rolname),
       format('revoke usage on schema %%I from %%I', n.nspname, r.rolname)
  from pg_namespace n, pg_roles r
 where n.nspname = %(schema)s and r.rolname = %(role)s and not has_schema_privilege(r.oid, n.oid, 'usage')
   and pg_has_role(n.nspowner, 'usage')
 union all
select format('grant select, insert, update, delete on %%s to %%I', c.oid::regclass, r.rolname),
       format('revoke select, insert, update, delete on %%s from %%I', c.oid::regclass, r.rolname)
  from pg_class c, pg_roles r
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind in ('r', 'p') and r.rolname = %(role)s
   and pg_has_role(c.relowner, 'usage')
   and not (has_table_privilege(r.oid, c.oid, 'select') and has_table_privilege(r.oid, c.oid, 'update')
            and has_table_privilege(r.oid, c.oid, 'insert') and has_table_privilege(r.oid, c.oid, 'delete'))
 union all
select format('grant usage on sequence %%s to %%I', c.oid::regclass, r.rolname),
       format('revoke usage on sequence %%s from %%I', c.oid::regclass, r.rolname)
  from pg_class c, pg_roles r
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind = 'S' and r.rolname = %(role)s
   and pg_has_role(c.relowner, 'usage') and not has_sequence_privilege(r.oid, c.oid, 'usage')
 union all
select format('create policy tenantry_rehearsal on %%s to %%I using (true) with check (true)', c.oid::regclass, r.rolname),
       format('drop policy if exists tenantry_rehearsal on %%s', c.oid::regclass)
  from pg_class c, pg_roles r
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and c.relkind in ('r', 'p') and r.rolname = %(role)s
   and c.relrowsecurity and pg_has_role(c.relowner, 'usage')

-- name: written
-- By table, the number of rows that this session changed and has not reported yet: by its own statements, a trigger or a key's
-- action; partitions count for their table.
select n.nspname::text, c.relname::text, sum(w.n_tup_ins + w.n_tup_upd + w.n_tup_del)::bigint
  from pg_catalog.pg_stat_xact_user_tables as w
  join pg_catalog.pg_class as c on c.oid = coalesce(pg_catalog.pg_partition_root(w.relid), w.relid)
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
 where w.n_tup_ins + w.n_tup_upd + w.n_tup_del > 0
 group by 1, 2
