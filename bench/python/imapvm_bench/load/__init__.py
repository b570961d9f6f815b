"""Loads: a scenario on a server. Plan, probe, run, report, and comparison of several servers.

Display of reports is in `display`; sessions in IDLE are in `idle`.
"""
