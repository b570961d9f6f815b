"""APPEND and REPLACE: handlers, the messages while they arrive, and parts that CATENATE names."""
