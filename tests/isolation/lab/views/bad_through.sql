-- fires: app.titles
create view hidden.all_notes as select * from app.notes;
create view app.titles as select org_id, title from hidden.all_notes;
grant select (title) on app.titles to authenticated;
