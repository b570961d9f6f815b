"""What one client has been told, and may be told next."""
