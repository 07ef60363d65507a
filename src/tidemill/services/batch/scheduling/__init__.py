"""Who runs next, where, and why not yet; README.md beside this explains the domain."""
