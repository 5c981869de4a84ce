"""The release, written down once: packaging reads it from this text, importing nothing."""

__version__ = "0.1.0"
