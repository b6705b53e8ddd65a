"""Belay keeps AI workflows on a rope: immutable revisions, proven rollouts, automatic reverts."""
