"""The machine around the rollout: event source, queue, workers, election, health, metrics."""
