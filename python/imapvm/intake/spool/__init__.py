"""Spool directory: producing, watching and delivering its files."""
