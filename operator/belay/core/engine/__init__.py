"""Runs inside an engine: what is known of them, and what is asked of it."""
