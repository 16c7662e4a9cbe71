grant create on schema app to authenticated;
revoke create on schema app from authenticated;
