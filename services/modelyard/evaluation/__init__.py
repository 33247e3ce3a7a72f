"""Score weights on held-out suites."""
