"""Mail: what is said (`messages`), that it is to be sent (`outbox`), and that it arrives (`delivery`).

A message is a row, written in the transaction of what it tells; a worker sends it later. So no request waits for a mail
server, a crash loses nothing, and a request that is rolled back mails nobody.
"""
