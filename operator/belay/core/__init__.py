"""Deciding, and nothing else: no clock, no network, no logger, no Kubernetes client."""
