-- The names of what schema auth holds, by kind: as migrations.json names it.
select 'tables' as kind, relname::text as name
  from pg_class
 where relnamespace = to_regnamespace('auth') and relkind = 'r'
union all
select 'columns', c.relname || '.' || a.attname
  from pg_attribute as a
  join pg_class as c on c.oid = a.attrelid
 where c.relnamespace = to_regnamespace('auth') and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
union all
select 'constraints', c.relname || '.' || k.conname
  from pg_constraint as k
  join pg_class as c on c.oid = k.conrelid
 where c.relnamespace = to_regnamespace('auth')
union all
select 'indexes', relname
  from pg_class
 where relnamespace = to_regnamespace('auth') and relkind = 'i'
union all
select 'types', typname
  from pg_type
 where typnamespace = to_regnamespace('auth') and typtype = 'e'
union all
select 'functions', proname
  from pg_proc
 where pronamespace = to_regnamespace('auth')
union all
select 'row_security', relname
  from pg_class
 where relnamespace = to_regnamespace('auth') and relkind = 'r' and relrowsecurity
