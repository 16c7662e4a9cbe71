-- fires: app.totals
create materialized view app.totals as select org_id, count(*) from app.notes group by org_id;
grant select on app.totals to authenticated;
