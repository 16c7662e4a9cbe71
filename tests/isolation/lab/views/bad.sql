-- fires: app.titles
create view app.titles as select org_id, title from app.notes;
grant select on app.titles to authenticated;
