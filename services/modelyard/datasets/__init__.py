"""Supervised rows in the field's common formats."""
