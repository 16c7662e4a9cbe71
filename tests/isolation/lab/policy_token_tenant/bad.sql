-- fires: app.comments
-- The claims as the platform hands them over.
create or replace function auth.jwt() returns jsonb language sql stable set search_path = pg_catalog, pg_temp
    return nullif(current_setting('request.jwt.claims', true), '')::jsonb;
drop policy see on app.comments;
create policy see on app.comments for select to authenticated
    using (org_id = any ((select array(select jsonb_array_elements_text(auth.jwt() #> '{app_metadata,orgs}')::uuid))::uuid[]));
