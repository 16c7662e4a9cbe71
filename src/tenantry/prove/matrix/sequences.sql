-- Sequences of a schema and how far they are: a rollback does not turn them back.
select quote_ident(schemaname) || '.' || quote_ident(sequencename), coalesce(last_value, 0)
  from pg_catalog.pg_sequences
 where schemaname = %(schema)s
 order by 1
