"""People and their accounts. Knows neither HTTP nor OAuth: pages, API and command line all call these functions.

Each function takes the database session first and never commits, with one exception that says why
(`throttle.spend_all`): the caller owns the transaction.
"""
