"""Jobs, tasks, pools and counts, and their development over time. Independent of HTTP."""
