-- title: No client may truncate a table, make triggers on it, or reference it
-- mending: revoke truncate, trigger, references on … from …, public. Triggers and references run with other people's
--   rights, and TRUNCATE knows no policies.
select c.relname::text || ': ' || r.rolname || ' has ' || p.privilege as violation
  from pg_class as c
 cross join pg_roles as r
 cross join (values ('TRUNCATE'), ('TRIGGER'), ('REFERENCES')) as p (privilege)
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
   and c.relkind in ('r', 'p', 'v', 'm')
   and r.rolname = any (%(callers)s::text[]) and not r.rolsuper
   and (has_table_privilege(r.oid, c.oid, p.privilege)
        or p.privilege = 'REFERENCES' and has_any_column_privilege(r.oid, c.oid, p.privilege))
 order by 1
