-- fires: lab_server
reset role;
create foreign data wrapper lab_wrapper;
create server lab_server foreign data wrapper lab_wrapper;
create user mapping for public server lab_server;
