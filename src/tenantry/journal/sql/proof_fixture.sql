-- Keys of the rows that a proof created, written in the same transaction. The table belongs to the owner of its schema, whatever
-- login creates it: the next proof may use another login.
do $$
declare
    owner name := (select r.rolname from pg_catalog.pg_namespace n join pg_catalog.pg_roles r on r.oid = n.nspowner
                    where n.nspname = 'tenantry');
begin
    if to_regclass('tenantry.proof_fixture') is null then
        create table tenantry.proof_fixture (
            position     bigint generated always as identity primary key,
            table_schema text        not null,
            table_name   text        not null,
            key          jsonb       not null,
            made_at      timestamptz not null default clock_timestamp()
        );
        comment on table tenantry.proof_fixture is
            'Synthetic rows of the running proof, or of one that was killed; the next proof removes those.';
        revoke all on tenantry.proof_fixture from public;
        if owner <> current_user and pg_has_role(current_user, owner, 'MEMBER') then
            execute format('alter table tenantry.proof_fixture owner to %I', owner);
        end if;
    end if;
    -- An event trigger may have enabled row-level security.
    if exists (select from pg_catalog.pg_class c where c.oid = 'tenantry.proof_fixture'::regclass
                  and (c.relrowsecurity or c.relforcerowsecurity)) then
        alter table tenantry.proof_fixture disable row level security, no force row level security;
    end if;
end
$$;
