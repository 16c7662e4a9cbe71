class Note < ApplicationRecord # HIT notes
  has_many :lines
end

def latest(author)
  Note.where(authorId: author).order(created_at: :desc) # HIT notes notes.authorId
  Report.where(id: 3)
  sql = <<~SQL
    select id -- HIT notes.id
    from notes -- HIT notes
  SQL
  sql
end
