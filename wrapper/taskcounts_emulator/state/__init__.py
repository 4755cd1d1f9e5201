"""What is kept, and what time does to it: jobs, tasks, pools and counts. Nothing in here knows of HTTP."""
