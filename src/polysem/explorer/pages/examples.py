"""Texts for a first visit, by kind."""

EXAMPLES = {
    "words": ("red", "happy", "love", "three"),
    "sentences": ("My favorite color is red.", "Once upon a time there was a little girl.", "I am not sad any more."),
    "names": ("Lily and Tom", "the capital of France is Paris", "Homer and Odysseus"),
    "code": ("def add(a, b):\n    return a + b", "for (let i = 0; i < 10; i++)", '<a href="index.html">home</a>'),
    "literature": (
        "In ‘The Odyssey’, Homer takes us on an epic journey with Odysseus, whose adventures and trials on his way "
        "back to Ithaca after the Trojan War offer timeless insights into the human condition and the quest for home.",
        "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse, and "
        "nothing particular to interest me on shore, I thought I would sail about a little.",
        "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness.",
    ),
}
"""The first of the literary ones is document S4's; the others are by Melville and Dickens."""
