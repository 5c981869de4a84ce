"""Devices that speak lines of text, described by a table of commands."""
