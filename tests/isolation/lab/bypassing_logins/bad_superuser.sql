-- fires: lab_root is a superuser, and is member of authenticated
reset role;
create role lab_root login superuser;
grant authenticated to lab_root;
