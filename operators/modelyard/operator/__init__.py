"""Carry out the lifecycle plan: reconcile resources by jobs and a Serve config, here on one machine."""
