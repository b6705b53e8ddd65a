"""Belay keeps AI workflows on a rope: immutable revisions, proven rollouts, automatic reverts."""

__version__ = "0.2.0.dev0"
