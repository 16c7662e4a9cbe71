-- fires: lab_app has the rights of authenticated
reset role;
alter role lab_app inherit;
revoke authenticated from lab_app;
grant authenticated to lab_app;
