"""Drivers as users write them, one module per library, so that none is imported for another's sake."""
