-- fires: app.org
drop policy see on app.notes;
create policy see on app.notes for select to authenticated using (org_id = (select current_setting('app.org', true)::uuid));
