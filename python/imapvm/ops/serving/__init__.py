"""Running a server until it is stopped: in one process or as master of several; sd_notify."""
