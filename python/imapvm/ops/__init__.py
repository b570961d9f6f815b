"""Operation: command line, configuration, serving, users and the demonstration."""
