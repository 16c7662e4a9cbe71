-- A tenantry.open() that trusts every caller, and that PUBLIC may call.
-- attacks: token_of_another_key, token_cut_off, token_lengthened, token_altered, token_out_of_time, token_for_other_claims, token_with_odd_characters, token_of_an_ended_session, open_as_a_client, open_twice

-- name: broken
reset role;
create or replace function tenantry.open(claims text, token text) returns void
    language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    key tenantry.seal_key;
begin
    select k.* into key from tenantry.seal_key as k order by k.created_at desc limit 1;
    perform set_config('request.jwt.claims', claims, true);
    perform set_config('tenantry.seal', key.kid || '.' || encode(sha256(key.context_outer || sha256(key.context_inner
        || convert_to(extract(epoch from transaction_timestamp())::text || '.' || claims, 'UTF8'))), 'hex'), true);
end
$$;
create or replace function tenantry.claims() returns jsonb
    language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return nullif(current_setting('request.jwt.claims', true), '')::jsonb;
exception when others then
    return null;
end
$$;
grant execute on function tenantry.open(text, text) to authenticated;

-- name: mended
