"""What a client asks for, one file a family."""
