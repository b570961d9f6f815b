"""Sessions in IDLE: memory of the server for each, and time from a delivery to EXISTS.

A scenario that uses IDLE as one of its commands is a load, see `load`.
"""
