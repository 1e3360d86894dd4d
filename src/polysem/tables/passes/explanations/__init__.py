"""S1.F10: examples that explain features and examples that test explanations, rules that can be executed, scores.

No torch but in `intruder`: rules are made and scored without it. What makes rules of shown examples is the room
`polysem.explanations`.
"""
