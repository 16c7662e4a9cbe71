"""Sign-in: a server with the contract of Supabase Auth over schema auth, and the verification of its tokens in applications.

Everything here needs the extra: `pip install 'tenantry[auth]'`.
"""
