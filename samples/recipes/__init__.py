"""A training recipe for each model's sample weights, and what recipes share."""
