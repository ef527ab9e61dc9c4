"""Accounts that move: in from other systems' files, out and in again between instances of this one.

A file's reader knows its layout and yields candidates; `checking` measures them by today's rules; `writing` puts them
into the database, batch by batch. Neither HTTP nor OAuth is known here.
"""
