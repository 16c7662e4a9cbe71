"""The sign-in server: an ASGI application with the contract of Supabase Auth.

`app.sign_in_app()` builds it; `routes` has a module for each family of endpoints; the modules beside them hold what families share.
"""
