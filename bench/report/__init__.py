"""What was measured, kept for the documents: tables and a plot."""
