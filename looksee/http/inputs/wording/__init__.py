"""What is asked of a text's words: how many, in which language, and without an opening."""
