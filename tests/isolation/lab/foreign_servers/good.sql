reset role;
create foreign data wrapper lab_wrapper;
create server lab_server foreign data wrapper lab_wrapper;
create user mapping for lab_owner server lab_server;
