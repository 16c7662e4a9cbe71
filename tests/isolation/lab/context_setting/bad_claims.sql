-- fires: request.jwt.claims
create or replace function auth.jwt() returns jsonb
    language sql stable security definer set search_path = pg_catalog, pg_temp
    return nullif(current_setting('request.jwt.claims', true), '')::jsonb;
