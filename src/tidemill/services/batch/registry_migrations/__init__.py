"""Numbered steps of the schema of what Batch's jobs run in."""
