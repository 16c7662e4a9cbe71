-- Sequences of a schema and their positions: a rollback does not reset them.
select quote_ident(schemaname) || '.' || quote_ident(sequencename), coalesce(last_value, 0)
  from pg_catalog.pg_sequences
 where schemaname = %(schema)s
 order by 1
