"""Sessions with devices: bytes over sockets, serial ports and buses, one reply to one query."""
