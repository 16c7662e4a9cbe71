-- fires: app.ticket
create sequence app.ticket;
grant select on sequence app.ticket to authenticated;
