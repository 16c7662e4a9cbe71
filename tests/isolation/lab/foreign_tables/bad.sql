-- fires: app.invoices
reset role;
create foreign data wrapper lab_wrapper;
create server lab_server foreign data wrapper lab_wrapper;
create foreign table app.invoices (org_id uuid, amount numeric) server lab_server;
grant select on app.invoices to authenticated;
