-- fires: session_replication_role
reset role;
grant set on parameter session_replication_role to authenticated;
