reset role;
grant set on parameter session_replication_role to lab_owner;
