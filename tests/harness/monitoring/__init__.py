"""Alerts and the dashboard: what is generated of them, and a real Prometheus to try them with."""
