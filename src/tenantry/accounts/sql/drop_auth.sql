-- Drops the schema that auth.sql created; a schema of this name that another system created is not changed.
do $$
begin
    if obj_description(to_regnamespace('auth'), 'pg_namespace')
       = 'Accounts, compatible with Supabase Auth; made by Tenantry, since this server has no Supabase.' then
        drop schema auth cascade;
    end if;
end
$$;
