"""Stacks: R runs trained as one, each with its own loss, optimizer and scheduler, none able to disturb another."""

from fashion_softmax.stacking.stack import Facts, Member, Stack, plan

__all__ = ["Facts", "Member", "Stack", "plan"]
