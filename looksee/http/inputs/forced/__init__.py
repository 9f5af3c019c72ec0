"""Answers that are forced into a form: JSON of a schema, one of several texts, or what matches a regular expression."""
