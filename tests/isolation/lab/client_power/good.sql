reset role;
create role lab_reader nologin bypassrls;
grant lab_app to lab_reader;
