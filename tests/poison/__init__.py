"""Workflows and revisions that nobody should write, and what must become of them."""
