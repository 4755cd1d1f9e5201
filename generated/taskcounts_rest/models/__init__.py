"""Contains all the data models used in inputs/outputs, each imported when it is first asked for"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .batch_error import BatchError
    from .batch_error_detail import BatchErrorDetail
    from .cloud_job import CloudJob
    from .cloud_job_list_result import CloudJobListResult
    from .cloud_task import CloudTask
    from .cloud_task_list_result import CloudTaskListResult
    from .error_message import ErrorMessage
    from .job_execution_information import JobExecutionInformation
    from .job_scheduling_error import JobSchedulingError
    from .task_counts import TaskCounts
    from .task_counts_result import TaskCountsResult
    from .task_execution_information import TaskExecutionInformation
    from .task_failure_information import TaskFailureInformation
    from .task_slot_counts import TaskSlotCounts
else:
    from importlib import import_module

    _MODULES = {
        "BatchError": ".batch_error",
        "BatchErrorDetail": ".batch_error_detail",
        "CloudJob": ".cloud_job",
        "CloudJobListResult": ".cloud_job_list_result",
        "CloudTask": ".cloud_task",
        "CloudTaskListResult": ".cloud_task_list_result",
        "ErrorMessage": ".error_message",
        "JobExecutionInformation": ".job_execution_information",
        "JobSchedulingError": ".job_scheduling_error",
        "TaskCounts": ".task_counts",
        "TaskCountsResult": ".task_counts_result",
        "TaskExecutionInformation": ".task_execution_information",
        "TaskFailureInformation": ".task_failure_information",
        "TaskSlotCounts": ".task_slot_counts",
    }

    def __getattr__(name: str) -> type:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        model = getattr(import_module(_MODULES[name], __name__), name)
        globals()[name] = model
        return model


__all__ = (
    "BatchError",
    "BatchErrorDetail",
    "CloudJob",
    "CloudJobListResult",
    "CloudTask",
    "CloudTaskListResult",
    "ErrorMessage",
    "JobExecutionInformation",
    "JobSchedulingError",
    "TaskCounts",
    "TaskCountsResult",
    "TaskExecutionInformation",
    "TaskFailureInformation",
    "TaskSlotCounts",
)
