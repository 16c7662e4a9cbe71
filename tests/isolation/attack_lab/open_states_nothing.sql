-- An open() that leaves it to the session what dates, numbers and literals mean.
-- attacks: settings_of_the_user_before
-- broken_application: pins=no

-- name: broken
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
