"""What features follow each other, as the automata of document S1: counted, predicted from weights, and tried out.

It is no pass over all tokens: some sequences are enough, and their tokens are kept together in the order of the text.
"""
