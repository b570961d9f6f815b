"""Access of users to mailboxes of other users (RFC 4314).

`Access` resolves a name to a store. The store of a user's own account is a plain `AccountStore`,
without a check of rights: the owner of a mailbox has all of them. A `SharedStore` checks rights in
each read transaction and in each transaction that changes something; no caller checks them.
"""
