"""Mail intake: spool directory, LMTP, and the delivery that both share.

`spool` and `lmtp` read messages with their envelopes. The modules here parse envelopes, resolve
addresses, deliver and notify; `smtpexit` is the command that writes spool files. No module here
parses a message or reads a mailbox.
"""
