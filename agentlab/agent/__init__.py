"""One agent: a loop in one thread that owns sockets, timers and a mailbox."""
