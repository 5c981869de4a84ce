"""Finding by name: the table of leases, the server that keeps it, the client that asks it."""
