"""Revisions from real input: reading, checking, canonical form, secrets, building, verifying."""
