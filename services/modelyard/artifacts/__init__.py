"""Weights, adapters and run folders on any fsspec file system: fetched, verified, content-addressed."""
