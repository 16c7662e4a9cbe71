-- fires: app.notes
drop policy see on app.notes;
create policy see on app.notes for select to authenticated using ((select auth.role()) <> 'anon');
