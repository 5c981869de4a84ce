"""What an instrument is, as values: parameters, readings, units, tables, the description that travels. Pure."""
