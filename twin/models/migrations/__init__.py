"""Numbered migrations, each of which may be run again without harm."""
