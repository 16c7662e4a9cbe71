-- A policy with a subquery as a filter, behind what the asker adds.
-- attacks: explain_counts_rows_of_a_tenant

-- name: broken
drop policy select_guest on note;
create policy select_guest on note for select to authenticated
    using (org_id in (select unnest(tenantry.tenants('guest'))));
create index note_org on note (org_id);

-- name: mended
