-- fires: app.ticket
create sequence app.ticket;
grant all on sequence app.ticket to authenticated;
