-- fires: lab_server
reset role;
create foreign data wrapper lab_wrapper;
create server lab_server foreign data wrapper lab_wrapper;
grant usage on foreign server lab_server to authenticated;
