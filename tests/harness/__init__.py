"""Real clusters for the tests and the demo: `tests.harness.cluster.start` is the way in."""
