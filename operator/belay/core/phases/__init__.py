"""One module per phase of a rollout, each with one function."""
