"""One file a claim; each measures its peer or limit in the same run and prints the ratio."""
