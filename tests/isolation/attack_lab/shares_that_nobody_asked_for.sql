-- Shares may name any tenant, and tenantry.shared() does not ask whether one was accepted, and believes that time stands still in a
-- transaction.
-- attacks: push_a_share, share_ended_in_the_transaction, foreign_key_tells_existence

-- name: broken
reset role;
alter policy insert_boss on app.share with check (org_id = any ((select tenantry.tenants('boss'))::uuid[]));
create or replace function tenantry.shared(share text) returns uuid[]
    language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return array(select distinct s.org_id from app.share as s
                  where s.reader_id = any (tenantry.tenants('guest')) and s.kind = 'report' and (s.ends_at is null or s.ends_at > now()));
end
$$;

-- name: mended
