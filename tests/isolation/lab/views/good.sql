create view app.titles with (security_invoker = true) as select org_id, title from app.notes;
grant select on app.titles to authenticated;
