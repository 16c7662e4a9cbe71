-- Takes the accounts away that auth.sql made; a schema of this name that somebody else made stays as it is.
do $$
begin
    if obj_description(to_regnamespace('auth'), 'pg_namespace')
       = 'Accounts, compatible with Supabase Auth; made by Tenantry, since this server has no Supabase.' then
        drop schema auth cascade;
    end if;
end
$$;
