-- An open() that takes any role, a tenantry.claims() that looks neither at the role that the transaction runs under nor at the time,
-- and a policy that believes the role of the claims.
-- attacks: role_besides_the_seal, claims_expired_meanwhile, service_role_in_claims

-- name: broken
create policy service on note for select to authenticated using ((select tenantry.role()) = 'service_role');
reset role;
create or replace function tenantry.open(claims text, token text) returns void
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform set_config('request.jwt.claims', claims, true);
end
$$;
create or replace function tenantry.claims() returns jsonb
    language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return nullif(current_setting('request.jwt.claims', true), '')::jsonb;
end
$$;

-- name: mended
