create sequence app.ticket;
grant usage on sequence app.ticket to authenticated;
