-- select id from notes
create view recent as
  select n.id, n.title -- HIT notes.id
    from notes n; -- HIT notes
select id, 'from notes' from other_table;
insert into lines (id, note_id, text) values (1, 2, 'x'); -- HIT lines lines.id lines.note_id
