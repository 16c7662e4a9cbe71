-- fires: app.notes
create policy managers on app.notes for select to authenticated
    using ((select auth.jwt()) -> 'app_metadata' ->> 'role' = 'manager');
