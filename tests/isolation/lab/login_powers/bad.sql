-- manifest
-- fires: it may make roles
reset role;
alter role lab_app createrole;
