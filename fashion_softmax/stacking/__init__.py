"""Stacks: R runs trained as one, each with its own loss, optimizer and scheduler, none able to disturb another."""

from fashion_softmax.stacking.planning import Facts, plan
from fashion_softmax.stacking.stack import Member, Stack

__all__ = ["Facts", "Member", "Stack", "plan"]
