"""Contains all the data models used in inputs/outputs"""

from .batch_error import BatchError
from .batch_error_detail import BatchErrorDetail
from .error_message import ErrorMessage
from .task_counts import TaskCounts
from .task_counts_result import TaskCountsResult
from .task_slot_counts import TaskSlotCounts

__all__ = (
    "BatchError",
    "BatchErrorDetail",
    "ErrorMessage",
    "TaskCounts",
    "TaskCountsResult",
    "TaskSlotCounts",
)
