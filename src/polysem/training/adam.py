"""torch's Adam in a process that compiles nothing."""

from inspect import unwrap

import torch


class Adam(torch.optim.Adam):
    """`torch.optim.Adam`, to the bit, without its guards against being compiled.

    They import torch's compiler at the first call, which takes a few hundredths of the default study
    (docs/performance.md). `torch.optim.Adam` can stand here at any time.
    """

    add_param_group = unwrap(torch.optim.Adam.add_param_group)
    state_dict = unwrap(torch.optim.Adam.state_dict)
    load_state_dict = unwrap(torch.optim.Adam.load_state_dict)
    zero_grad = unwrap(torch.optim.Adam.zero_grad)
    step = torch.no_grad()(unwrap(torch.optim.Adam.step))
