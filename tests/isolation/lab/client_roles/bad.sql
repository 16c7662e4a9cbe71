-- fires: authenticated is a member of lab_readers
reset role;
create role lab_readers nologin;
grant lab_readers to authenticated;
