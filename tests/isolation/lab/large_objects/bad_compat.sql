-- fires: lo_compat_privileges
reset role;
set local lo_compat_privileges = on;
