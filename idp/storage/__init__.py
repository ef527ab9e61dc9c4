"""How the provider keeps what it knows: engines, sessions and statements. No table is named here.

`database` opens SQLite or PostgreSQL (`sqlite`, `postgresql`: what each needs of its driver). Requests get a
`lean_session` and run prepared `statements`; who writes to SQLite waits for the `write_lock`, and processes of one
server take `write_turns`. `changes` counts the rows that a statement changed. The worker goes through many rows in
`batches`, and holds `leases` on what one alone may do.
"""
