"""Stacks: R runs trained as one, each with its own loss, optimizer and scheduler, none able to disturb another."""

from fashion_softmax.stacking.members import Member
from fashion_softmax.stacking.stack import Stack
from fashion_softmax.stacking.suitability import architecture, why_alone

__all__ = ["Member", "Stack", "architecture", "why_alone"]
