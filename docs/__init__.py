"""Documents, and the tables in them that are printed from the code."""
