"""What the process answers over HTTP: to callers of runs, and to Belay."""
