"""One instrument at work: a driver in its own thread, a queue, an owner, a latch. No network."""
