"""The admin API of Supabase Auth, for a hosted Supabase whose database is not accessible."""
