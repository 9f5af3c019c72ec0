"""Answers that are forced into a form: grammars over a checkpoint's tokens, and a mask for each row's next token."""
