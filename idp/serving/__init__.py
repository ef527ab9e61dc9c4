"""The processes of `idp serve`: the server that watches over the others, the web processes, the worker beside them.

The server answers no request. It lives for months with what it has loaded, so it loads next to nothing: neither the
application nor the command line. Each web process loads the application by itself, after the fork.
"""
