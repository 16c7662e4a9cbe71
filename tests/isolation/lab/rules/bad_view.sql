-- fires: app.titles
create view app.titles with (security_invoker = true) as select org_id, id, title from app.notes;
grant select, update on app.titles to authenticated;
create rule rename as on update to app.titles do instead update app.notes set title = new.title where id = old.id;
