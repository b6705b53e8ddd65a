"""Running instances: what is known of them, and what pausing and letting go write."""
