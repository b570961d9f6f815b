"""What `imapvm-bench` can be told to do: a module each, with its options."""
