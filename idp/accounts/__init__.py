"""People and their accounts. Knows neither HTTP nor OAuth: pages, API and command line all call these functions.

Each function takes the database session first and never commits: the caller owns the transaction. Two exceptions say
why: `throttle.spend_all`, and `database.pause` in whatever has a password hashed.
"""
