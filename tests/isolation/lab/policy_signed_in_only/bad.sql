-- fires: app.comments
create policy read on app.comments for select to authenticated using ((select auth.role()) = 'authenticated');
