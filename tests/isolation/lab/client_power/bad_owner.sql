-- fires: lab_app can become lab_owner, who owns tables
reset role;
grant lab_owner to lab_app;
