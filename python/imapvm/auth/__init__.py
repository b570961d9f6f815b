"""Authentication: SASL exchanges, passwords, throttling of failures. No I/O and no event loop.

Accounts, clock, locks and threads are protocols that the server implements.
"""
