"""Services: ordinary objects of any class, served to other processes by a daemon."""
