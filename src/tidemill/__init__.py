"""Background and batch work for web applications, spoken to through AWS's own APIs."""
