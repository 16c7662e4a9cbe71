-- fires: app.titles
create view app.titles as select org_id, author_id, title from app.notes;
grant insert on app.titles to authenticated;
