"""The idle compiler: never the real import while nothing is compiled, always the real one when it is asked for."""

import subprocess
import sys

SCRIPT = """
import sys, torch
from fashion_softmax.config.compiler import keep_compiler_idle
keep_compiler_idle()
weight = torch.nn.Parameter(torch.ones(3))
for name in ("SGD", "Adam", "AdamW", "RMSprop"):
    optimizer = getattr(torch.optim, name)([weight], lr=0.1)
    weight.sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
torch.func.vmap(torch.sin)(weight)
assert "torch._dynamo.eval_frame" not in sys.modules, "imported although nothing is compiled"
{wake}
assert "torch._dynamo.eval_frame" in sys.modules
optimizer.step()
"""


def run(wake: str) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT.format(wake=wake)], check=True, timeout=60)


def test_optimizers_do_not_import_the_compiler_until_an_attribute_is_asked_for() -> None:
    run("torch._dynamo.reset()")


def test_importing_a_part_of_the_compiler_imports_it_all() -> None:
    run("import torch._dynamo.config; assert torch._dynamo.config.verbose is not None")
