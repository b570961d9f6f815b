"""Commands of IMAP: the table, dispatch, the context of a handler, and updates.

Handlers are in `handlers`, one module per command family. No module here touches a socket, and only
`dispatch` writes tagged responses.
"""
