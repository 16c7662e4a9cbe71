-- Schools, classes and marks.
create table schools (id uuid primary key default gen_random_uuid(), name text not null);
create table people (id uuid primary key references auth.users, full_name text not null, birth_date date);
create table enrolments (
    school_id uuid not null references schools, person_id uuid not null references people, role text not null, left_on date,
    primary key (school_id, person_id));
create table classes (school_id uuid not null references schools, id uuid not null default gen_random_uuid(), name text not null, primary key (school_id, id));
create table marks (
    school_id uuid not null references schools, id uuid not null default gen_random_uuid(), class_id uuid not null, person_id uuid not null, mark int not null,
    primary key (school_id, id), foreign key (school_id, class_id) references classes (school_id, id),
    foreign key (school_id, person_id) references enrolments (school_id, person_id));
create table holidays (id int primary key, name text not null, day date not null);
create function private.schools(wanted text[]) returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(array_agg(e.school_id), '{}') from public.enrolments as e
     where e.person_id = auth.uid() and e.left_on is null and e.role = any (wanted) $$;
create function private.colleagues() returns uuid[] language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(array_agg(o.person_id), '{}') from public.enrolments as e join public.enrolments as o on o.school_id = e.school_id
     where e.person_id = auth.uid() and e.left_on is null and o.left_on is null $$;
create policy see on schools for select to authenticated using (id = any ((select private.schools('{pupil,teacher}'))::uuid[]));
create policy see on people for select to authenticated using (id = (select auth.uid()) or id = any ((select private.colleagues())::uuid[]));
create policy see on enrolments for select to authenticated using (school_id = any ((select private.schools('{pupil,teacher}'))::uuid[]));
create policy see on classes for select to authenticated using (school_id = any ((select private.schools('{pupil,teacher}'))::uuid[]));
create policy see on marks for select to authenticated
    using (school_id = any ((select private.schools('{teacher}'))::uuid[])
           or (person_id = (select auth.uid()) and school_id = any ((select private.schools('{pupil}'))::uuid[])));
create policy add on marks for insert to authenticated with check (school_id = any ((select private.schools('{teacher}'))::uuid[]));
create policy see on holidays for select to authenticated using (true);
create function public.average(class uuid) returns numeric language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select avg(m.mark) from public.marks as m where m.class_id = class and m.school_id = any (private.schools('{teacher}')) $$;
grant execute on all functions in schema public to authenticated;
insert into schools (name) values ('North'), ('South');
insert into people select id, 'Somebody', '2010-01-01' from auth.users;
insert into enrolments (school_id, person_id, role) select s.id, u.id, 'teacher' from schools as s join auth.users as u on (s.name = 'North') = (u.email < 'person3');
insert into classes (school_id, name) select id, '5b' from schools;
insert into marks (school_id, class_id, person_id, mark) select c.school_id, c.id, e.person_id, 2 from classes as c join enrolments as e on e.school_id = c.school_id;
insert into holidays values (1, 'New year', '2026-01-01');
-- hole: public.enrolments: the policy asks its own table, and every query fails
create policy see_colleagues on enrolments for select to authenticated
    using (school_id in (select e.school_id from enrolments as e where e.person_id = (select auth.uid()) and e.left_on is null));
-- hole: public.act_as(uuid): whoever calls it is whoever they like
create function public.act_as(who uuid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('request.jwt.claims', json_build_object('sub', who, 'role', 'authenticated')::text, true);
end $$;
grant execute on function public.act_as(uuid) to authenticated;
-- hole: public.people: whoever belongs to any school reads everybody's birthday
drop policy see on people;
create policy see on people for select to authenticated
    using (exists (select from schools as s where s.id = any ((select private.schools('{pupil,teacher}'))::uuid[])));
