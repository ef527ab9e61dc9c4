"""People and their accounts. Knows neither HTTP nor OAuth: pages, API and command line all call these functions.

Each function takes the database session first and never commits: the caller owns the transaction. The exceptions say
why: what `throttle` charges has to stay, and whatever has a password hashed does `lean_session.pause`.
"""
