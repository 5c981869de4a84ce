"""Processes: started, watched, called, ended."""
