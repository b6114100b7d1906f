"""Faults on purpose: which and when (``plan``), how (``faults``), and while something else goes on (``breaking``)."""

from shop.local.chaos.breaking import breaking
from shop.local.chaos.plan import Fault, Kind, plan

__all__ = ["Fault", "Kind", "breaking", "plan"]
