-- An open() in which the key is an argument of a query, and so stands in its plan.
-- attacks: seal_key_in_a_plan

-- name: broken
reset role;
create or replace function tenantry.open(claims text, token text) returns void
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    key tenantry.seal_key;
begin
    select k.* into key from tenantry.seal_key as k where k.kid = split_part(token, '.', 1);
    perform set_config('request.jwt.claims', claims, true);
    perform set_config('tenantry.seal', key.kid || '.' || encode(sha256(key.context_outer || sha256(key.context_inner
        || convert_to(extract(epoch from transaction_timestamp())::text || '.' || claims, 'UTF8'))), 'hex'), true);
end
$$;

-- name: mended
