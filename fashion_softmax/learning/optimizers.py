"""The lesson's optimizer, mini-batch SGD: `w <- w - lr (g + weight_decay w)`."""

import inspect
from typing import Any

import torch
from torch.optim import Optimizer


class SGD(torch.optim.SGD):
    """torch's own SGD, without the second that it takes to import torch's compiler.

    torch marks some methods of its optimizers as not to be compiled, and imports `torch._dynamo` for that when they are
    called first. That takes as long as half of a ten-epoch run, and nothing here is compiled, so these are the methods
    themselves, as `inspect.unwrap` finds them below their marks.
    """

    add_param_group: Any = inspect.unwrap(Optimizer.add_param_group)
    zero_grad: Any = inspect.unwrap(Optimizer.zero_grad)
    state_dict: Any = inspect.unwrap(Optimizer.state_dict)
    load_state_dict: Any = inspect.unwrap(Optimizer.load_state_dict)
    step: Any = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))
