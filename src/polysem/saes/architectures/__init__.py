"""SAE architectures, each a module of its own that is found by its name.

A module has: `Recipe`, the class of its hyper-parameters; `activation(recipe)`, from pre-activations to features;
`select(recipe)`, the active entries among pre-activations; `penalty(recipe, progress)`, what is added to the squared
error of a token, and its derivative. `polysem.saes.gradients` says what the functions take.
"""
