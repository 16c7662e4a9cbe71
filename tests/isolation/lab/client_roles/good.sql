reset role;
create role lab_readers nologin;
grant authenticated to lab_readers;
