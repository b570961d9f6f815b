"""Demonstration server: `imapvm demo`, its users and sample messages."""
