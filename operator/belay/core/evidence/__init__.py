"""Evidence: whom a check asks, what came of it, and what it adds up to."""
