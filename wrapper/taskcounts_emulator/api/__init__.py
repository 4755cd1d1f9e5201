"""The service's interface: requests in, answers out. What happens to jobs and tasks is up to ``state``."""
