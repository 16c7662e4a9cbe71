-- fires: app.notes
drop policy see on app.notes;
create policy see on app.notes for select to authenticated
    using ((select current_setting('app.org', true)) is null or org_id::text = (select current_setting('app.org', true)));
