-- The state of schema auth: 'missing', 'ours', 'older' (ours, but incomplete), or 'foreign'.
select case
           when to_regnamespace('auth') is null then 'missing'
           when obj_description(to_regnamespace('auth'), 'pg_namespace') is distinct from
                'Accounts, compatible with Supabase Auth; made by Tenantry, since this server has no Supabase.' then 'foreign'
           when (select count(*) from pg_class where relnamespace = to_regnamespace('auth') and relkind = 'r'
                    and relname = any (%(tables)s)) < cardinality(%(tables)s) then 'older'
           when exists (select from pg_attribute where attrelid = to_regclass('auth.users') and attname = 'confirmation_token'
                    and not attnotnull) then 'older'
           when to_regprocedure('auth.tenantry_json(text)') is null then 'older'
           else 'ours'
       end
