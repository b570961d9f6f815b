"""Messages made from a seed, the same on every machine, and filling of mailboxes with them.

Messages that a scenario sends are made here, too; they are sent by the engine, see `load`.
"""
