-- fires: app.notes
create policy open on app.notes for select to authenticated using (title like 'open:%');
