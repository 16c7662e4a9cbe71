-- Rights that are stored when a person becomes a member or super admin, and never revoked.
-- attacks: removed_member, removed_member_in_the_transaction, inactive_membership, inactive_tenant, banned_account, deleted_account, demoted_super_admin

-- name: broken
create schema extra;
create table extra.kept (account uuid, org uuid);
create function extra.keep() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into extra.kept select p.account_id, new.org_id from app.person as p where p.id = new.person_id;
    insert into extra.kept select a.user_id, new.org_id from tenantry.account as a where a.is_super;
    return null;
end $$;
create trigger keep after insert on app.member for each row execute function extra.keep();
create function extra.mine() returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select coalesce(array_agg(org), '{}') from extra.kept where account = tenantry.uid() $$;
grant usage on schema extra to authenticated;
grant execute on function extra.mine() to authenticated;
drop policy select_guest on note;
create policy select_guest on note for select to authenticated using (org_id = any ((select extra.mine())::uuid[]));

-- name: mended
