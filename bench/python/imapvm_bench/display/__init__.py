"""Display of reports: tables and progress on a terminal, and HTML pages.

A page is one file that loads nothing else. Nothing is measured here.
"""
