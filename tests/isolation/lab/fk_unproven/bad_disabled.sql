-- fires: app.comments
reset role;
alter table app.comments disable trigger all;
