"""Memory and wakeups that the processes of one server share."""
