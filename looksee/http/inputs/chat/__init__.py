"""What a chat brings beside its messages, as OpenAI's clients write it."""
