-- manifest
-- fires: it can become lab_reader
reset role;
create role lab_reader nologin;
grant lab_reader to lab_app;
