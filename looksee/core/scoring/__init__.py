"""How sure a model was: the probabilities of tokens, of a caption as a whole, and of a yes."""
