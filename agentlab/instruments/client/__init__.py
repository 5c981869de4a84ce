"""An instrument as a program sees it: its proxy, parameters, ownership, readings."""
