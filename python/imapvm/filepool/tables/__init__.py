"""Tables of the filepool: keys, rows, and access to each table in a transaction.

`schema` has the layout of all tables, the other modules the access to one or a few of them. Changes
that clients ask for belong to `imapvm.filepool.operations`.
"""
