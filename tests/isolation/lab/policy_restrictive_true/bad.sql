-- fires: app.notes
create policy floor on app.notes as restrictive for select to authenticated using (true);
