"""Backups: where paused runs are kept outside the pods that they ran in."""
