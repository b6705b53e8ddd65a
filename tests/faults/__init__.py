"""Faults at every call: a proxy between the operator and a real API server."""
