-- fires: lab_app can become lab_reader, who bypasses row-level security
reset role;
create role lab_reader nologin bypassrls;
grant lab_reader to lab_app;
