"""Numbered steps of the schema of Batch's jobs."""
