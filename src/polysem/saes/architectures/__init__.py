"""How SAE architectures train, each a module of its own that is found by its name.

A module has a class `Method`: made from a recipe, it says which weights it adds to those of every SAE
(`extra_weights`), gives the gradients of a step (`gradients`) and the activation function of the finished SAE
(`function`). `polysem.saes.method` says what they take; `polysem.saes.gradients` has the parts.
"""
