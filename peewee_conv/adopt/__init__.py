"""Brings databases of AutoForge, Sovereign Assistant, HAIA and ChatDF into a project, without writing to them."""

from .adoption import adopt as adopt
from .report import Adopted as Adopted
from .report import Moved as Moved
from .report import TableCounts as TableCounts

__all__ = ["Adopted", "Moved", "TableCounts", "adopt"]
