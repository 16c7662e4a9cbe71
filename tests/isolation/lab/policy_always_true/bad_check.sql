-- fires: app.notes
drop policy add on app.notes;
create policy add on app.notes for insert to authenticated with check (true);
